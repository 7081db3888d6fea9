"""Ways to go on from a prompt: in pieces, in batches, by beams, by a draft, from a kept prefix."""
