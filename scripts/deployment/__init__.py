"""Deploys a vault: `plan` checks everything before anything is sent, `execute` sends and reads back."""
