"""The command ``sedflux``: one module per subcommand, and `main`, which runs them."""
