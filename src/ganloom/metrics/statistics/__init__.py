"""Statistics of features and of images: pure functions that know no feature net."""
