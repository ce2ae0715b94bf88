"""The `agent` command, one module per subcommand; `agent.cli` puts them together."""
