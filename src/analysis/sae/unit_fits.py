"""What unit level models give back."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.sae.estimates import coefficient_table, to_html
from analysis.sae.transformations import BOX_COX, LAMBDA


@dataclass(frozen=True, eq=False, repr=False)
class NestedError:
    """A fitted nested error model.

    Attributes
    ----------
    response, area, method
        What was fitted: names of columns, and ``reml`` or ``ml``.
    sigma2_u, sigma2_e
        Variances of the effects of areas and of the errors of households, on the scale of h.
    coefficients, standard_errors
        By column of the design, the intercept first.
    effects, shrinkage
        By area of the sample: the predicted u_d, and gamma_d = sigma2_u / (sigma2_u + sigma2_e /
        n_d) (with survey weights sigma2_e times the sum of squared normed weights).
    residuals, fitted
        By row of the sample: what is left after effects (level 1), and x' beta alone (marginal).
    response_values
        By row of the sample: transformed welfare.
    design
        The design matrix, rows of the sample by coefficient.
    area_codes
        The area of each row of the sample.
    baselines
        The category of each categorical covariate that has no dummy.
    log_likelihood
        Restricted under REML.
    transformation, transformation_parameter, shift
        h; its parameter and the shift before Box-Cox (NaN and 0 where it has none).
    """

    response: str
    area: str
    method: str
    sigma2_u: float
    sigma2_e: float
    coefficients: pd.Series
    standard_errors: pd.Series
    effects: pd.Series
    shrinkage: pd.Series
    residuals: pd.Series
    fitted: pd.Series
    response_values: pd.Series
    design: pd.DataFrame
    area_codes: pd.Series
    baselines: dict[str, object]
    log_likelihood: float
    transformation: str
    transformation_parameter: float
    shift: float

    @property
    def whitened_design(self) -> pd.DataFrame:
        """V^-1/2 X, rows as in ``design`` (Fuller and Battese 1973): with its columns in place of
        x, and `whitened_residuals` in place of errors, the model is an ordinary regression."""
        return self._whitened(self.design)

    @property
    def whitened_residuals(self) -> pd.Series:
        """V^-1/2 (h(y) - x' beta), by row of the sample: N(0, 1) and independent by the model."""
        marginal = (self.response_values - self.fitted).rename("whitened_residual")
        return self._whitened(marginal.to_frame())["whitened_residual"]

    def _whitened(self, rows: pd.DataFrame) -> pd.DataFrame:
        # Off every value a part of its area's mean, so that what is left is not correlated.
        by_area = rows.groupby(self.area_codes.to_numpy())
        size = by_area.transform("size").to_numpy()[:, None]
        part = 1 - np.sqrt(self.sigma2_e / (self.sigma2_e + size * self.sigma2_u))
        return (rows - part * by_area.transform("mean")) / np.sqrt(self.sigma2_e)

    def _headline(self) -> list[str]:
        h = self.transformation
        if not np.isnan(self.transformation_parameter):
            h += f" ({self.transformation_parameter:.4g})"
        if (
            self.transformation == BOX_COX
            and min(abs(self.transformation_parameter - end) for end in LAMBDA) < 1e-4
        ):
            h += " at the end of where it is looked for"
        if self.shift:
            h += f", welfare shifted by {self.shift:,.4g}"
        share = self.sigma2_u / (self.sigma2_u + self.sigma2_e)
        lines = [
            f"Nested error model of {self.response}, transformation {h}, by {self.method.upper()}",
            f"{len(self.residuals):,} households in {len(self.effects):,} areas ({self.area})",
            f"sigma2_u {self.sigma2_u:.6g}, sigma2_e {self.sigma2_e:.6g} "
            f"(intraclass correlation {share:.3f}), log-likelihood {self.log_likelihood:,.2f}",
        ]
        if self.baselines:
            lines.append(
                "Baselines: " + ", ".join(f"{name} {c}" for name, c in self.baselines.items())
            )
        return lines

    def __repr__(self) -> str:
        return "\n".join(self._headline())

    def summary(self) -> str:
        """The fit in words, and its coefficients."""
        return "\n".join(
            [*self._headline(), "", coefficient_table(self).to_string(float_format="{:.5g}".format)]
        )

    def _repr_html_(self) -> str:
        return to_html(
            "\n".join(self._headline()), coefficient_table(self).reset_index(names="term")
        )


@dataclass(frozen=True, eq=False, repr=False)
class EmpiricalBest:
    """Estimates by area, and what is needed to judge them.

    Attributes
    ----------
    areas
        One row per area of the census, sorted: ``area, n_sample, n_census`` (households), ``mean``
        (units of welfare), ``p0, p1, p2`` (fractions), ``shrinkage``, the indicators asked for,
        and ``synthetic``: true where nothing was sampled, so that the figure is the model's alone.
    mse
        ``area`` and the mean squared error of each indicator, in its squared unit; missing where
        ``replicates`` is 0.
    fit
        The nested error model.
    estimator
        ``Census-EB``, ``EB``, either with ``pseudo-`` before it (survey weights), or ``ELL``.
    line
        The poverty line, in units of welfare.
    replicates, seed
        Of the bootstrap.
    sample_only
        Areas of the sample that the census does not have: they are in the fit, not in ``areas``.
    """

    areas: pd.DataFrame
    mse: pd.DataFrame
    fit: NestedError
    estimator: str
    line: float
    replicates: int
    seed: int
    sample_only: tuple = ()

    @property
    def sigma2_u(self) -> float:
        """Variance of the effects of areas, transformed scale."""
        return self.fit.sigma2_u

    @property
    def sigma2_e(self) -> float:
        """Variance of the errors of households, transformed scale."""
        return self.fit.sigma2_e

    @property
    def transformation(self) -> str:
        """``none``, ``log``, ``log-shift`` or ``box-cox``."""
        return self.fit.transformation

    @property
    def transformation_parameter(self) -> float:
        """Lambda of Box-Cox, the shift of log-shift; NaN where there is none."""
        return self.fit.transformation_parameter

    @property
    def coefficients(self) -> pd.Series:
        """By column of the design."""
        return self.fit.coefficients

    @property
    def effects(self) -> pd.Series:
        """By area of the sample, transformed scale."""
        return self.fit.effects

    @property
    def residuals(self) -> pd.Series:
        """By row of the sample, transformed scale, after the effects of areas."""
        return self.fit.residuals

    @property
    def design(self) -> pd.DataFrame:
        """The design matrix of the sample."""
        return self.fit.design

    @property
    def whitened_design(self) -> pd.DataFrame:
        """`NestedError.whitened_design` of the fit."""
        return self.fit.whitened_design

    @property
    def whitened_residuals(self) -> pd.Series:
        """`NestedError.whitened_residuals` of the fit."""
        return self.fit.whitened_residuals

    @property
    def rmse(self) -> pd.DataFrame:
        """Square root of ``mse``, in the unit of each indicator."""
        return self.mse.assign(**{c: np.sqrt(self.mse[c]) for c in self.mse.columns[1:]})

    @property
    def cv(self) -> pd.DataFrame:
        """``rmse`` as a fraction of the estimate; missing where that is 0."""
        rmse = self.rmse
        size = self.areas.where(self.areas != 0)
        return rmse.assign(**{c: rmse[c] / size[c].abs() for c in rmse.columns[1:]})

    def _headline(self) -> list[str]:
        sampled = int((~self.areas["synthetic"]).sum())
        lines = [
            f"{self.estimator} estimates of {self.fit.response}, poverty line {self.line:,.6g}",
            f"{len(self.areas):,} areas ({self.fit.area}): {sampled:,} sampled, "
            f"{len(self.areas) - sampled:,} synthetic; {self.areas['n_census'].sum():,.0f} "
            f"households in the census",
            f"Bootstrap: {self.replicates} replicates, seed {self.seed}"
            if self.replicates
            else "Bootstrap: none, so that the MSE is missing",
        ]
        if self.estimator == "ELL":
            lines.append("ELL ignores the areas' own samples: a comparison, not an estimate to use")
        if self.sample_only:
            lines.append(
                f"In the sample only, without an estimate: {', '.join(map(str, self.sample_only))}"
            )
        return lines

    def __repr__(self) -> str:
        return "\n".join(self._headline())

    def summary(self) -> str:
        """The estimates in words, their spread over areas, and the fit."""
        columns = [c for c in self.mse.columns if c != "area"]
        spread = self.areas[columns].quantile([0, 0.25, 0.5, 0.75, 1])
        spread.index = ["lowest", "quarter", "median", "three quarters", "highest"]
        if self.replicates:
            spread.loc["median RMSE"] = self.rmse[columns].median()
        table = spread.to_string(float_format="{:.5g}".format)
        return "\n".join([*self._headline(), "", table, "", self.fit.summary()])

    def _repr_html_(self) -> str:
        return to_html("\n".join(self._headline()), self.areas)
