"""One reader and one writer for each format of boxes with ids, and the registry that all verbs look formats up in."""
