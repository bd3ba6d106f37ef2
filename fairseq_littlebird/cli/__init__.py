"""The console commands: arguments in, one line out when they are wrong."""
