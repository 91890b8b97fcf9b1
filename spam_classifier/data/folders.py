def class_folders(directory):
    return [p.name for p in directory.iterdir() if p.is_dir()]


def folder_input(directory, labels):
    raise NotImplementedError


def folder_texts(directory):
    raise NotImplementedError
