"""Probability theory of classification as pure functions on arrays; imports only the leaves of softreg.

A new loss, score, interval, decision rule or information measure goes here. `block_loss` has the loss of many models
on blocks of rows, for solvers; `loss` has the same formulas for users.
"""

from __future__ import annotations

from softreg.probability.arithmetic_coding import decode_labels, encode_labels
from softreg.probability.bootstrap_intervals import Interval, bootstrap_means, interval
from softreg.probability.calibration import CalibrationCheck, calibration_error, check_calibration
from softreg.probability.check_distributions import check_probabilities
from softreg.probability.class_prior import estimate_rates, shift_rates
from softreg.probability.decision_thresholds import OperatingPoint, operating_point
from softreg.probability.discrimination import mean_auc, mean_auc_interval
from softreg.probability.expected_cost import (
    above_threshold,
    expected_cost,
    least_expected_cost,
    most_likely,
    reject,
)
from softreg.probability.feature_information import column_information, mutual_information
from softreg.probability.information import cross_entropy, entropy, kl_divergence, perplexity, surprisal
from softreg.probability.intervals import proportion_interval, score_interval, wilson_interval
from softreg.probability.labels import Classes, label_probabilities, one_hot
from softreg.probability.loss import (
    cross_entropy_with_logits,
    curvature,
    likelihood,
    negative_log_likelihood,
    residual,
)
from softreg.probability.scores import accuracy, brier, log_loss, top_k_accuracy
from softreg.probability.stable_softmax import log_softmax, logsumexp, softmax

__all__ = [
    "CalibrationCheck",
    "Classes",
    "Interval",
    "OperatingPoint",
    "above_threshold",
    "accuracy",
    "bootstrap_means",
    "brier",
    "calibration_error",
    "check_calibration",
    "check_probabilities",
    "column_information",
    "cross_entropy",
    "cross_entropy_with_logits",
    "curvature",
    "decode_labels",
    "encode_labels",
    "entropy",
    "estimate_rates",
    "expected_cost",
    "interval",
    "kl_divergence",
    "label_probabilities",
    "least_expected_cost",
    "likelihood",
    "log_loss",
    "log_softmax",
    "logsumexp",
    "mean_auc",
    "mean_auc_interval",
    "most_likely",
    "mutual_information",
    "negative_log_likelihood",
    "one_hot",
    "operating_point",
    "perplexity",
    "proportion_interval",
    "reject",
    "residual",
    "score_interval",
    "shift_rates",
    "softmax",
    "surprisal",
    "top_k_accuracy",
    "wilson_interval",
]
