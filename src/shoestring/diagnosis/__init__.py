"""The doctor: known diseases of models for cheap chips, with evidence and cure."""

from shoestring.diagnosis.aim import Aim, take_aim
from shoestring.diagnosis.diagnose import diagnose
from shoestring.diagnosis.diseases import DISEASES
from shoestring.diagnosis.examination import Examination
from shoestring.diagnosis.examine import examine
from shoestring.diagnosis.findings import Diagnosis, Disease, Finding

__all__ = ["DISEASES", "Aim", "Diagnosis", "Disease", "Examination", "Finding", "diagnose", "examine", "take_aim"]
