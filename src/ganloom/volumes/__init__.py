"""3D objects: cameras, a renderer of simple solids with known shape, voxels, meshes and their files.

Objects fill the cube [-1, 1]^3: x points right, y up and z towards the front. A volume has the index [z, y, x].
"""
