"""Images as rows of pixels: picture files in folders, IDX files and arrays of NumPy.

It may import `columns` and `read_options`. A change of how a picture is decoded goes into `picture_files`, of which
files of a folder are read into `image_folders`, of a format of arrays into `idx_files` or `array_files`.
"""
