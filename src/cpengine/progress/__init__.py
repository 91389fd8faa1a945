"""What a person sees while jobs run: a live view, or plain lines without a terminal."""

from cpengine.progress.counts import Counts
from cpengine.progress.view import View, Watch, views
from cpengine.progress.words import counted

__all__ = ["Counts", "View", "Watch", "counted", "views"]
