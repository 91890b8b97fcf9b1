def looks_like_mail(head):
    return False


def mail_input(source):
    raise NotImplementedError
