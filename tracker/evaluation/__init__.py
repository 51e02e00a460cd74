"""How well tracking went: CLEAR, Identity and HOTA by the official rules, from MOTChallenge files."""
