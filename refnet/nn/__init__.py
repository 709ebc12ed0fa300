"""Float networks: layers as records, losses, optimisers, training and real images."""
