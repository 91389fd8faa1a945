"""The one lock of the AWS server."""

import threading

# moto is not safe for threads: one request at a time is carried out, and holds this.
# A long poll waits on it, which lets the others in, until a message has come.
MOTO = threading.Condition()
