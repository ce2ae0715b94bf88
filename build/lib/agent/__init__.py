"""The mind: numpy in, numpy out. No RPC, no keys; torch only under `agent.training`."""
