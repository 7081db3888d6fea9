"""What the machine does: units, machines, lowering, and the account of every cycle."""
