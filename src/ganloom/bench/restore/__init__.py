"""The benchmark of super-resolution: models beside bicubic and Lanczos, on crops of photographs."""
