"""Training with stable-baselines3 and export to the policy that numpy runs. The only part of the agent with torch."""
