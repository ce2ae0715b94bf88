"""Compute `golden_covariance.json` with scikit-learn and Riskfolio-Lib, in an environment of their own:

python -m venv golden && golden/bin/pip install scikit-learn==1.7.2 riskfolio-lib==7.4.0
golden/bin/python tests/agent/evaluation/golden_covariance.py

The tests read the JSON file only; neither library is needed to run them.
"""

import json
from pathlib import Path

import cvxpy
import numpy as np
import pandas as pd
import riskfolio
import sklearn
from sklearn.covariance import LedoitWolf

EXACT = {"tol_gap_abs": 1e-13, "tol_gap_rel": 1e-13, "tol_feas": 1e-13, "max_iter": 500}


def solved(returns: np.ndarray, covariance: np.ndarray) -> riskfolio.Portfolio:
    """Return a portfolio of Riskfolio-Lib with this covariance, of order one so that its tolerances mean something."""
    names = [f"s{index}" for index in range(returns.shape[1])]
    portfolio = riskfolio.Portfolio(returns=pd.DataFrame(returns, columns=names))
    portfolio.assets_stats(method_mu="hist", method_cov="hist")
    portfolio.cov = pd.DataFrame(covariance / np.trace(covariance) * len(names), names, names)
    portfolio.solvers, portfolio.sol_params = ["CLARABEL"], {"CLARABEL": EXACT}
    return portfolio


cases = []
for seed, (days, count, cap) in enumerate([(40, 5, 0.25), (8, 10, 0.12), (90, 3, 0.5)]):
    rng = np.random.default_rng(seed)
    returns = np.round(1e-4 + 1e-5 * rng.standard_normal((days, count)) @ rng.standard_normal((count, count)), 9)
    fitted = LedoitWolf().fit(returns * 1e4)  # the scale is that of percents; the weights do not depend on it
    covariance = fitted.covariance_ / 1e8
    parity = solved(returns, covariance).rp_optimization(model="Classic", rm="MV", hist=True)
    least = solved(returns, covariance)
    least.ainequality, least.binequality = np.eye(count), np.full((count, 1), cap)
    weights = least.optimization(model="Classic", rm="MV", obj="MinRisk", hist=True)
    cases.append(
        {
            "returns": returns.tolist(),
            "shrinkage": fitted.shrinkage_,
            "covariance": covariance.tolist(),
            "risk_parity": parity["weights"].tolist(),
            "cap": cap,
            "min_variance": weights["weights"].tolist(),
        }
    )
made_with = {"scikit-learn": sklearn.__version__, "riskfolio-lib": riskfolio.__version__, "cvxpy": cvxpy.__version__}
text = json.dumps({"made_by": Path(__file__).name, "versions": made_with, "cases": cases})
Path(__file__).with_suffix(".json").write_text(text + "\n")
