"""Which globals a model file may name, and in which role: exact pairs of module and name, never prefixes.

Measured on files of scikit-learn 1.2 to 1.9, numpy 1.23 to 2.4 and pandas 1.5 to 3.0. A pair's role is how
the
stream uses it: called by REDUCE (`CALL`), instantiated by NEWOBJ or `_reconstructor` (`NEW`), or left as a
plain
value, such as a score function or the class argument of a constructor (`VALUE`). Everything else is refused
by name.
"""

from __future__ import annotations

from modelyard.intake import allowlist_boosting as boosting

Table = dict[str, frozenset[str]]


def _table(text: str) -> Table:
    """Lines of `module: name name …`; a line that starts with blanks continues the one before."""
    table: dict[str, set[str]] = {}
    module = ""
    for line in text.strip().splitlines():
        if not line.startswith(" "):
            module, _, line = line.partition(":")
        table.setdefault(module, set()).update(line.split())
    return {module: frozenset(names) for module, names in table.items()}


def _merged(*tables: Table) -> Table:
    merged: Table = {}
    for table in tables:
        for module, names in table.items():
            merged[module] = merged.get(module, frozenset()) | names
    return merged


_CALL = _table(
    """
__builtin__: bytes complex frozenset set slice
_codecs: encode
_loss: CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss CyHalfPoissonLoss
  CyHalfSquaredError CyHalfTweedieLossIdentity CyHuberLoss CyPinballLoss __pyx_unpickle_CyAbsoluteError
  __pyx_unpickle_CyExponentialLoss __pyx_unpickle_CyHalfBinomialLoss __pyx_unpickle_CyHalfGammaLoss
  __pyx_unpickle_CyHalfMultinomialLoss __pyx_unpickle_CyHalfPoissonLoss __pyx_unpickle_CyHalfSquaredError
  __pyx_unpickle_CyHalfTweedieLossIdentity __pyx_unpickle_CyHuberLoss __pyx_unpickle_CyPinballLoss
builtins: bytes complex frozenset range set slice
copy_reg: _reconstructor
copyreg: _reconstructor
functools: partial
numpy: dtype
numpy._core.multiarray: _reconstruct scalar
numpy._core.numeric: _frombuffer
numpy.core.multiarray: _reconstruct scalar
numpy.core.numeric: _frombuffer
numpy.ma.core: _mareconstruct
numpy.random._pickle: __bit_generator_ctor __generator_ctor __randomstate_ctor
numpy.random.bit_generator: __pyx_unpickle_SeedSequence
pandas: StringDtype
pandas._libs.arrays: __pyx_unpickle_NDArrayBacked
pandas.core.indexes.base: _new_Index
sklearn._loss._loss: CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss CyHalfPoissonLoss
  CyHalfSquaredError CyHalfTweedieLossIdentity CyHuberLoss CyPinballLoss __pyx_unpickle_CyAbsoluteError
  __pyx_unpickle_CyExponentialLoss __pyx_unpickle_CyHalfBinomialLoss __pyx_unpickle_CyHalfGammaLoss
  __pyx_unpickle_CyHalfMultinomialLoss __pyx_unpickle_CyHalfPoissonLoss __pyx_unpickle_CyHalfSquaredError
  __pyx_unpickle_CyHalfTweedieLossIdentity __pyx_unpickle_CyHuberLoss __pyx_unpickle_CyPinballLoss
sklearn.linear_model._sgd_fast: EpsilonInsensitive Hinge Huber Log ModifiedHuber SquaredEpsilonInsensitive
  SquaredHinge SquaredLoss
sklearn.metrics._dist_metrics: newObj
sklearn.neighbors._ball_tree: newObj
sklearn.neighbors._kd_tree: newObj
sklearn.tree._tree: Tree
"""
)
_NEW = _table(
    """
joblib.numpy_pickle: NumpyArrayWrapper
pandas: CategoricalDtype
pandas.core.dtypes.dtypes: CategoricalDtype
scipy.interpolate._bsplines: BSpline
scipy.sparse._arrays: coo_array csc_array csr_array
scipy.sparse._bsr: bsr_matrix
scipy.sparse._coo: coo_array coo_matrix
scipy.sparse._csc: csc_array csc_matrix
scipy.sparse._csr: csr_array csr_matrix
scipy.sparse._dia: dia_matrix
scipy.sparse._dok: dok_matrix
scipy.sparse._lil: lil_matrix
scipy.stats._continuous_distns: beta_gen expon_gen gamma_gen lognorm_gen norm_gen reciprocal_gen
  truncnorm_gen uniform_gen
scipy.stats._discrete_distns: binom_gen geom_gen poisson_gen randint_gen
scipy.stats._distn_infrastructure: rv_continuous_frozen rv_discrete_frozen
sklearn._loss.link: HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit
sklearn._loss.loss: AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss
  HalfPoissonLoss HalfSquaredError HalfTweedieLossIdentity HuberLoss PinballLoss
sklearn.calibration: CalibratedClassifierCV _CalibratedClassifier _SigmoidCalibration
sklearn.cluster._affinity_propagation: AffinityPropagation
sklearn.cluster._agglomerative: AgglomerativeClustering FeatureAgglomeration
sklearn.cluster._bicluster: SpectralBiclustering SpectralCoclustering
sklearn.cluster._birch: Birch _CFNode _CFSubcluster
sklearn.cluster._bisect_k_means: BisectingKMeans _BisectingTree
sklearn.cluster._dbscan: DBSCAN
sklearn.cluster._hdbscan.hdbscan: HDBSCAN
sklearn.cluster._kmeans: KMeans MiniBatchKMeans
sklearn.cluster._mean_shift: MeanShift
sklearn.cluster._optics: OPTICS
sklearn.cluster._spectral: SpectralClustering
sklearn.compose._column_transformer: ColumnTransformer _RemainderColsList make_column_selector
sklearn.compose._target: TransformedTargetRegressor
sklearn.covariance._elliptic_envelope: EllipticEnvelope
sklearn.covariance._empirical_covariance: EmpiricalCovariance
sklearn.covariance._graph_lasso: GraphicalLasso GraphicalLassoCV
sklearn.covariance._robust_covariance: MinCovDet
sklearn.covariance._shrunk_covariance: LedoitWolf OAS ShrunkCovariance
sklearn.cross_decomposition._pls: CCA PLSCanonical PLSRegression PLSSVD
sklearn.decomposition._dict_learning: DictionaryLearning MiniBatchDictionaryLearning SparseCoder
sklearn.decomposition._factor_analysis: FactorAnalysis
sklearn.decomposition._fastica: FastICA
sklearn.decomposition._incremental_pca: IncrementalPCA
sklearn.decomposition._kernel_pca: KernelPCA
sklearn.decomposition._lda: LatentDirichletAllocation
sklearn.decomposition._nmf: MiniBatchNMF NMF
sklearn.decomposition._pca: PCA
sklearn.decomposition._sparse_pca: MiniBatchSparsePCA SparsePCA
sklearn.decomposition._truncated_svd: TruncatedSVD
sklearn.discriminant_analysis: LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis
sklearn.dummy: DummyClassifier DummyRegressor
sklearn.ensemble._bagging: BaggingClassifier BaggingRegressor
sklearn.ensemble._forest: ExtraTreesClassifier ExtraTreesRegressor RandomForestClassifier
  RandomForestRegressor RandomTreesEmbedding
sklearn.ensemble._gb: GradientBoostingClassifier GradientBoostingRegressor
sklearn.ensemble._gb_losses: BinomialDeviance ExponentialLoss HuberLossFunction LeastAbsoluteError
  LeastSquaresError MultinomialDeviance QuantileLossFunction
sklearn.ensemble._hist_gradient_boosting.binning: _BinMapper
sklearn.ensemble._hist_gradient_boosting.gradient_boosting: HistGradientBoostingClassifier
  HistGradientBoostingRegressor
sklearn.ensemble._hist_gradient_boosting.predictor: TreePredictor
sklearn.ensemble._iforest: IsolationForest
sklearn.ensemble._stacking: StackingClassifier StackingRegressor
sklearn.ensemble._voting: VotingClassifier VotingRegressor
sklearn.ensemble._weight_boosting: AdaBoostClassifier AdaBoostRegressor
sklearn.feature_extraction._dict_vectorizer: DictVectorizer
sklearn.feature_extraction._hash: FeatureHasher
sklearn.feature_extraction.image: PatchExtractor
sklearn.feature_extraction.text: CountVectorizer HashingVectorizer TfidfTransformer TfidfVectorizer
sklearn.feature_selection._from_model: SelectFromModel
sklearn.feature_selection._rfe: RFE RFECV
sklearn.feature_selection._sequential: SequentialFeatureSelector
sklearn.feature_selection._univariate_selection: GenericUnivariateSelect SelectFdr SelectFpr SelectFwe
  SelectKBest SelectPercentile
sklearn.feature_selection._variance_threshold: VarianceThreshold
sklearn.frozen._frozen: FrozenEstimator
sklearn.gaussian_process._gpc: GaussianProcessClassifier _BinaryGaussianProcessClassifierLaplace
sklearn.gaussian_process._gpr: GaussianProcessRegressor
sklearn.gaussian_process.kernels: ConstantKernel DotProduct Exponentiation Matern PairwiseKernel Product RBF
  RationalQuadratic Sum WhiteKernel
sklearn.impute._base: MissingIndicator SimpleImputer
sklearn.impute._iterative: IterativeImputer _ImputerTriplet
sklearn.impute._knn: KNNImputer
sklearn.isotonic: IsotonicRegression
sklearn.kernel_approximation: AdditiveChi2Sampler Nystroem PolynomialCountSketch RBFSampler
  SkewedChi2Sampler
sklearn.kernel_ridge: KernelRidge
sklearn.linear_model._base: LinearRegression
sklearn.linear_model._bayes: ARDRegression BayesianRidge
sklearn.linear_model._coordinate_descent: ElasticNet ElasticNetCV Lasso LassoCV MultiTaskElasticNet
  MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV
sklearn.linear_model._glm.glm: GammaRegressor PoissonRegressor TweedieRegressor
sklearn.linear_model._huber: HuberRegressor
sklearn.linear_model._least_angle: Lars LarsCV LassoLars LassoLarsCV LassoLarsIC
sklearn.linear_model._logistic: LogisticRegression LogisticRegressionCV
sklearn.linear_model._omp: OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV
sklearn.linear_model._passive_aggressive: PassiveAggressiveClassifier PassiveAggressiveRegressor
sklearn.linear_model._perceptron: Perceptron
sklearn.linear_model._quantile: QuantileRegressor
sklearn.linear_model._ransac: RANSACRegressor
sklearn.linear_model._ridge: Ridge RidgeCV RidgeClassifier RidgeClassifierCV
sklearn.linear_model._stochastic_gradient: SGDClassifier SGDOneClassSVM SGDRegressor
sklearn.linear_model._theil_sen: TheilSenRegressor
sklearn.manifold._classical_mds: ClassicalMDS
sklearn.manifold._isomap: Isomap
sklearn.manifold._locally_linear: LocallyLinearEmbedding
sklearn.manifold._mds: MDS
sklearn.manifold._spectral_embedding: SpectralEmbedding
sklearn.manifold._t_sne: TSNE
sklearn.metrics._scorer: _CurveScorer _PassthroughScorer _PredictScorer _ProbaScorer _Scorer
  _ThresholdScorer
sklearn.mixture._bayesian_mixture: BayesianGaussianMixture
sklearn.mixture._gaussian_mixture: GaussianMixture
sklearn.model_selection._classification_threshold: FixedThresholdClassifier TunedThresholdClassifierCV
  _CurveScorer
sklearn.model_selection._search: GridSearchCV RandomizedSearchCV
sklearn.model_selection._search_successive_halving: HalvingGridSearchCV HalvingRandomSearchCV
sklearn.model_selection._split: GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePOut
  PredefinedSplit RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold StratifiedKFold
  StratifiedShuffleSplit TimeSeriesSplit
sklearn.multiclass: OneVsOneClassifier OneVsRestClassifier OutputCodeClassifier _ConstantPredictor
sklearn.multioutput: ClassifierChain MultiOutputClassifier MultiOutputRegressor RegressorChain
sklearn.naive_bayes: BernoulliNB CategoricalNB ComplementNB GaussianNB MultinomialNB
sklearn.neighbors._classification: KNeighborsClassifier RadiusNeighborsClassifier
sklearn.neighbors._graph: KNeighborsTransformer RadiusNeighborsTransformer
sklearn.neighbors._kde: KernelDensity
sklearn.neighbors._lof: LocalOutlierFactor
sklearn.neighbors._nca: NeighborhoodComponentsAnalysis
sklearn.neighbors._nearest_centroid: NearestCentroid
sklearn.neighbors._regression: KNeighborsRegressor RadiusNeighborsRegressor
sklearn.neighbors._unsupervised: NearestNeighbors
sklearn.neural_network._multilayer_perceptron: MLPClassifier MLPRegressor
sklearn.neural_network._rbm: BernoulliRBM
sklearn.neural_network._stochastic_optimizers: AdamOptimizer
sklearn.pipeline: FeatureUnion Pipeline
sklearn.preprocessing._data: Binarizer KernelCenterer MaxAbsScaler MinMaxScaler Normalizer PowerTransformer
  QuantileTransformer RobustScaler StandardScaler
sklearn.preprocessing._discretization: KBinsDiscretizer
sklearn.preprocessing._encoders: OneHotEncoder OrdinalEncoder
sklearn.preprocessing._function_transformer: FunctionTransformer
sklearn.preprocessing._label: LabelBinarizer LabelEncoder MultiLabelBinarizer
sklearn.preprocessing._polynomial: PolynomialFeatures SplineTransformer
sklearn.preprocessing._target_encoder: TargetEncoder
sklearn.random_projection: GaussianRandomProjection SparseRandomProjection
sklearn.semi_supervised._label_propagation: LabelPropagation LabelSpreading
sklearn.semi_supervised._self_training: SelfTrainingClassifier
sklearn.svm._classes: LinearSVC LinearSVR NuSVC NuSVR OneClassSVM SVC SVR
sklearn.tree._classes: DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor
sklearn.utils._bunch: Bunch
sklearn.utils._metadata_requests: MetadataRequest MethodMetadataRequest
"""
)
_VALUE = _table(
    """
__builtin__: bool dict float long object unicode
_loss: CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss CyHalfMultinomialLoss
  CyHalfPoissonLoss CyHalfSquaredError CyHalfTweedieLossIdentity CyHuberLoss CyPinballLoss
builtins: bool float int object str
numpy: absolute bool bool_ cbrt ceil clip cos exp expm1 float32 float64 floor int32 int64 int8 log log10
  log1p log2 mean nan_to_num ndarray negative object_ reciprocal rint sign sin sqrt square str_ tan tanh
  uint64 uint8
numpy._core._multiarray_umath: absolute cbrt ceil cos exp expm1 floor log log10 log1p log2 negative
  reciprocal rint sign sin sqrt square tan tanh
numpy.core._multiarray_umath: absolute cbrt ceil cos exp expm1 floor log log10 log1p log2 negative
  reciprocal rint sign sin sqrt square tan tanh
numpy.ma: MaskedArray
numpy.ma.core: MaskedArray
numpy.random._mt19937: MT19937
numpy.random._pcg64: PCG64 PCG64DXSM
numpy.random._philox: Philox
numpy.random._pickle: __bit_generator_ctor
numpy.random._sfc64: SFC64
numpy.random.bit_generator: SeedSequence
pandas: Categorical Index RangeIndex
pandas.arrays: StringArray
pandas.core.arrays.categorical: Categorical
pandas.core.indexes.base: Index
pandas.core.indexes.numeric: Int64Index
pandas.core.indexes.range: RangeIndex
scipy._lib.array_api_compat.numpy._aliases: asarray
scipy.sparse._dok: dok_matrix
sklearn._loss._loss: CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss
  CyHalfMultinomialLoss CyHalfPoissonLoss CyHalfSquaredError CyHalfTweedieLossIdentity CyHuberLoss
  CyPinballLoss
sklearn.cluster._kmeans: _kmeans_single_lloyd
sklearn.feature_selection._mutual_info: mutual_info_classif mutual_info_regression
sklearn.feature_selection._univariate_selection: chi2 f_classif f_regression r_regression
sklearn.metrics._classification: accuracy_score balanced_accuracy_score brier_score_loss d2_brier_score
  d2_log_loss_score f1_score jaccard_score log_loss matthews_corrcoef precision_score recall_score
sklearn.metrics._dist_metrics: BrayCurtisDistance BrayCurtisDistance64 CanberraDistance CanberraDistance64
  ChebyshevDistance ChebyshevDistance64 EuclideanDistance EuclideanDistance64 HammingDistance
  HammingDistance64 HaversineDistance HaversineDistance64 JaccardDistance JaccardDistance64
  ManhattanDistance ManhattanDistance64 SEuclideanDistance SEuclideanDistance64
sklearn.metrics._ranking: average_precision_score roc_auc_score top_k_accuracy_score
sklearn.metrics._regression: d2_absolute_error_score explained_variance_score max_error mean_absolute_error
  mean_absolute_percentage_error mean_gamma_deviance mean_poisson_deviance mean_squared_error
  mean_squared_log_error median_absolute_error r2_score root_mean_squared_error root_mean_squared_log_error
sklearn.metrics._scorer: _passthrough_scorer negative_likelihood_ratio positive_likelihood_ratio
sklearn.metrics.cluster._supervised: adjusted_mutual_info_score adjusted_rand_score completeness_score
  fowlkes_mallows_score homogeneity_score mutual_info_score normalized_mutual_info_score rand_score
  v_measure_score
sklearn.model_selection._split: KFold StratifiedKFold
sklearn.neighbors._ball_tree: BallTree
sklearn.neighbors._kd_tree: KDTree
sklearn.utils.validation: check_array
"""
)
_METRICS = (
    "BrayCurtis Canberra Chebyshev Dice Euclidean Hamming Haversine Jaccard Kulsinski Mahalanobis"
    " Manhattan Matching"
    " Minkowski RogersTanimoto RussellRao SEuclidean SokalMichener SokalSneath"
)
_MORE_VALUES: Table = {  # more of the same kind as what was measured
    "numpy": frozenset(
        [
            "number",
            "integer",
            "signedinteger",
            "unsignedinteger",
            "inexact",
            "floating",
            "complexfloating",
            "int16",
            "uint16",
            "uint32",
            "float16",
            "longdouble",
            "complex64",
            "complex128",
            "datetime64",
            "timedelta64",
            "bytes_",
            "intc",
            "uintc",
            "longlong",
            "ulonglong",
        ]
    ),
    "sklearn.metrics._dist_metrics": frozenset(
        f"{name}Distance{width}" for name in _METRICS.split() for width in ("", "64", "32")
    ),
    "sklearn.metrics._classification": frozenset(
        ["cohen_kappa_score", "fbeta_score", "hamming_loss", "hinge_loss", "zero_one_loss"]
    ),
    "sklearn.metrics._ranking": frozenset(
        [
            "coverage_error",
            "dcg_score",
            "label_ranking_average_precision_score",
            "label_ranking_loss",
            "ndcg_score",
        ]
    ),
    "sklearn.metrics._regression": frozenset(
        ["d2_pinball_score", "d2_tweedie_score", "mean_pinball_loss", "mean_tweedie_deviance"]
    ),
    "sklearn.metrics.pairwise": frozenset(
        [
            "additive_chi2_kernel",
            "chi2_kernel",
            "cosine_distances",
            "cosine_similarity",
            "euclidean_distances",
            "haversine_distances",
            "laplacian_kernel",
            "linear_kernel",
            "manhattan_distances",
            "nan_euclidean_distances",
            "polynomial_kernel",
            "rbf_kernel",
            "sigmoid_kernel",
        ]
    ),
    "sklearn.metrics.cluster._unsupervised": frozenset(
        ["calinski_harabasz_score", "davies_bouldin_score", "silhouette_score"]
    ),
}
_UFUNCS = frozenset(
    [
        "absolute",
        "cbrt",
        "ceil",
        "cos",
        "exp",
        "expm1",
        "floor",
        "log",
        "log10",
        "log1p",
        "log2",
        "negative",
        "reciprocal",
        "rint",
        "sign",
        "sin",
        "sqrt",
        "square",
        "tan",
        "tanh",
    ]
)
FUNCTIONS: Table = {  # what a FunctionTransformer may call
    "numpy": _UFUNCS | {"clip", "mean", "nan_to_num"},
    "numpy._core._multiarray_umath": _UFUNCS,
    "numpy.core._multiarray_umath": _UFUNCS,
}

# A discrete distribution of scipy keeps `numpy.vectorize(self._entropy)`: those two, in exactly that use
# (`calls`)
_DISCRETE_CALL: Table = {module: frozenset({"getattr"}) for module in ("builtins", "__builtin__")}
_DISCRETE_NEW: Table = {
    "numpy": frozenset({"vectorize"}),
    "numpy.lib.function_base": frozenset({"vectorize"}),
    "numpy.lib._function_base_impl": frozenset({"vectorize"}),
}

CALL = _merged(_CALL, _DISCRETE_CALL, boosting.CALL)
NEW = _merged(_NEW, _DISCRETE_NEW, boosting.NEW)
VALUE = _merged(_VALUE, _MORE_VALUES, boosting.VALUE)
MEMMAP: Table = {  # memory-mapped arrays are read as plain ones; the class is never looked up
    "numpy": frozenset({"memmap"}),
    "numpy.core.memmap": frozenset({"memmap"}),
    "numpy._core.memmap": frozenset({"memmap"}),
}
BASE: Table = {  # the built-in that an instance extends, as protocols 0 and 1 name it
    module: frozenset({"dict", "object", "tuple"}) for module in ("builtins", "__builtin__")
}
SKOPS: Table = {  # names that skops gives to what a pickle builds by calls
    "numpy.random.mtrand": frozenset({"RandomState"}),
    "numpy.random._generator": frozenset({"Generator"}),
}


def has(table: Table, module: str, name: str) -> bool:
    return name in table.get(module, ())
