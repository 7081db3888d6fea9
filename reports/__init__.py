"""What people see: tables, charts, a page and the command line, made from results alone."""
