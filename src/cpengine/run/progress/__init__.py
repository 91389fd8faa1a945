"""What a person sees while jobs run: a live view, or plain lines without a terminal."""

from cpengine.run.progress.counts import Counts
from cpengine.run.progress.view import MakeView, View, views

__all__ = ["Counts", "MakeView", "View", "views"]
