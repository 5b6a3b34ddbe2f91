"""Which few directions hold most of what tells the images apart?"""

from dataclasses import dataclass

import numpy as np

from core.latent.vectors import check_vectors


@dataclass(frozen=True)
class Components:
    """Vectors along their principal components.

    Attributes:
        values: float32 (n_images, n_components), the component of greatest variance first.
        explained: the share of the variance they hold, in [0, 1]; 1 where there is none.
    """

    values: np.ndarray
    explained: float


def principal_components(vectors: np.ndarray, keep: float, *, seed: int = 0) -> Components:
    """Reduce vectors by PCA.

    Args:
        vectors: float array (n_images, n_features).
        keep: how many components, from 1, as far as there are; or a share of the variance below 1,
            which takes as many as hold it.
        seed: of the solver's random start.

    Raises:
        ValueError: `keep` is neither, or `vectors` is not two-dimensional.
        OperatorError: the vectors are not finite.
    """
    from sklearn.decomposition import PCA

    if not (0 < keep < 1 or (keep >= 1 and keep == int(keep))):
        raise ValueError(f"keep must be a share in (0, 1) or a whole number from 1, got {keep!r}")
    vectors = check_vectors(vectors)
    if not (vectors != vectors[0]).any():
        return Components(np.zeros((len(vectors), 1), dtype=np.float32), 1.0)
    wanted = keep if keep < 1 else min(int(keep), *vectors.shape)
    model = PCA(n_components=wanted, random_state=seed)
    values = model.fit_transform(vectors).astype(np.float32)
    return Components(values, float(min(model.explained_variance_ratio_.sum(), 1.0)))
