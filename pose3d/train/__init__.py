"""What makes the bundled weights: data, augmentation, losses, loops."""
