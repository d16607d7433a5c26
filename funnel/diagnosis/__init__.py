"""The standard funnel, and what differs from it by more than chance."""

from funnel.diagnosis.diagnosis import STAGE_MEASURES, WHOLE_MEASURES, Diagnosis, diagnose
from funnel.diagnosis.standard import StandardFunnel

__all__ = ["STAGE_MEASURES", "WHOLE_MEASURES", "Diagnosis", "StandardFunnel", "diagnose"]
