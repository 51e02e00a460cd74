"""Data sets of re-identification: where the crops are, who is on them, and which camera saw them."""
