"""Training of the bundled person detector with pictures, augmentation and loss on one device."""
