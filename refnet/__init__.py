"""Reference implementations of three ways to make neural networks small, on an integer core."""
