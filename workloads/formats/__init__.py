"""Files of weights in formats of others, read strictly; nothing in them is executed."""
