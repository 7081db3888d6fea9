"""The systolic array: its schedules in closed form, and real numbers moving through it."""
