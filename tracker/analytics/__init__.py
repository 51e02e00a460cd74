"""What tracks tell: zones, lines, counts, visits, heat maps; the same for files and for live cameras."""
