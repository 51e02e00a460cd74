"""How the bundled embedder is trained: by triplets, and by what a larger network says of the same views."""
