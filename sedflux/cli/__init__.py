"""The command ``sedflux``: one module for each subcommand, in `main` put together."""
