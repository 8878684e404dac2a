"""The components of a running sweep."""

from dataclasses import dataclass, field

from ugro.events.events import EventStream
from ugro.executors.executor import Executor
from ugro.objectives.objectives import Objectives
from ugro.sampling.sampler import Sampler
from ugro.schedulers.early_stopping import EarlyStopping
from ugro.space.feasible import FeasibleSpace
from ugro.study.recorder import Recorder
from ugro.sweep.failures import Failures
from ugro.sweep.fingerprints import Fingerprints
from ugro.sweep.limits import Limits
from ugro.sweep.other_drivers import NoPeers, Peers


@dataclass
class Components:
    """Components that the loop of a sweep connects.

    Attributes:
        recorder: writes trials to the study's storage
        sampler: draws configurations
        feasible: the search space
        objectives: combine metrics into values
        early_stopping: decides which trials stop
        executor: runs trials
        limits: the study's limits
        failures: the failed trials and their limit
        events: the stream that observers receive
        peers: the study's other drivers
        fingerprints: of the study's data
        group: the study's current group of trials
    """

    recorder: Recorder
    sampler: Sampler
    feasible: FeasibleSpace
    objectives: Objectives
    early_stopping: EarlyStopping
    executor: Executor
    limits: Limits
    failures: Failures
    events: EventStream
    peers: Peers = field(default_factory=NoPeers)
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    group: int = 0
