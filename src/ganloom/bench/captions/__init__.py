"""The benchmark of text-to-image recipes: whether images show what their captions say, beside real images and copies."""
