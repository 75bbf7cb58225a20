"""Corpora: labelled recordings, their splits, and reports on their content.

A corpus is a folder of recordings, or a CSV that lists them. `reading` finds the clips by a table, by the
naming of the files, or by folders named after emotions. `survey` counts clips and lists problems.
"""

from train.corpora.clip import STRETCH as STRETCH
from train.corpora.clip import UNKNOWN_SPEAKER as UNKNOWN_SPEAKER
from train.corpora.clip import Clip as Clip
from train.corpora.clip import CorpusError as CorpusError
from train.corpora.clip import classes_of as classes_of
from train.corpora.reading import CORPORA as CORPORA
from train.corpora.reading import Reading as Reading
from train.corpora.reading import find as find
from train.corpora.reading import load as load
from train.corpora.reading import read as read
from train.corpora.reading import read_corpus as read_corpus
from train.corpora.survey import Survey as Survey
from train.corpora.survey import describe as describe
from train.corpora.survey import describe_duplicates as describe_duplicates
from train.corpora.survey import duplicates_across as duplicates_across
from train.corpora.survey import inspect as inspect
from train.corpora.usable import check_clips as check_clips
