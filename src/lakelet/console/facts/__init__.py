"""What the pages show, as plain data, before anybody draws it."""
