"""Files that models come in: weights and vocabularies, read strictly, nothing executed of them."""
