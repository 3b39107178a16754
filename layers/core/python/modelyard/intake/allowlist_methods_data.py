"""Written by `python -m tools.intake.methods`: the methods of the allowed classes.

One line per class: `module.Class < bases: methods`.
"""

TABLE = """\
abc.ABC:
builtins.dict: clear copy fromkeys get items keys pop popitem setdefault update values
builtins.tuple: count index
joblib.numpy_pickle.NumpyArrayWrapper: read read_array read_mmap safe_get_numpy_array_alignment_bytes
  write_array
lightgbm.basic.Booster: _Booster__boost _Booster__get_eval_info _Booster__inner_eval _Booster__inner_predict
  _free_buffer _get_loaded_param add_valid current_iteration dump_model eval eval_train eval_valid
  feature_importance feature_name free_dataset free_network get_leaf_output get_split_value_histogram
  lower_bound model_from_string model_to_string num_feature num_model_per_iteration num_trees predict refit
  reset_parameter rollback_one_iter save_model set_leaf_output set_network set_train_data_name shuffle_models
  trees_to_dataframe update upper_bound
lightgbm.compat._LGBMLabelEncoder < sklearn.base.TransformerMixin sklearn.base.BaseEstimator: fit
  fit_transform inverse_transform transform
lightgbm.sklearn.LGBMClassifier < sklearn.base.ClassifierMixin lightgbm.sklearn.LGBMModel: _more_tags
  decision_function fit predict predict_proba set_decision_function_request set_fit_request
  set_predict_proba_request set_predict_request set_score_request
lightgbm.sklearn.LGBMModel < sklearn.base.BaseEstimator: _more_tags _process_n_jobs _process_params
  _update_sklearn_tags_from_dict fit get_params predict set_fit_request set_params set_predict_request
lightgbm.sklearn.LGBMRanker < lightgbm.sklearn.LGBMModel: fit set_fit_request set_predict_request
lightgbm.sklearn.LGBMRegressor < sklearn.base.RegressorMixin lightgbm.sklearn.LGBMModel: _more_tags fit
  set_fit_request set_predict_request set_score_request
numpy.lib._function_base_impl.vectorize: _call_as_normal _get_ufunc_and_otypes _init_stage_2 _vectorize_call
  _vectorize_call_with_signature
numpy.vectorize: _call_as_normal _get_ufunc_and_otypes _init_stage_2 _vectorize_call
  _vectorize_call_with_signature
pandas.CategoricalDtype < pandas.core.dtypes.dtypes.PandasExtensionDtype
  pandas.api.extensions.ExtensionDtype: _finalize _from_categorical_dtype _from_fastpath
  _from_values_or_dtype _get_common_dtype construct_array_type construct_from_string type update_dtype
  validate_categories validate_ordered
pandas.api.extensions.ExtensionDtype: _get_common_dtype _get_plot_converter construct_array_type
  construct_from_string empty is_dtype
pandas.core.dtypes.dtypes.CategoricalDtype < pandas.core.dtypes.dtypes.PandasExtensionDtype
  pandas.api.extensions.ExtensionDtype: _finalize _from_categorical_dtype _from_fastpath
  _from_values_or_dtype _get_common_dtype construct_array_type construct_from_string type update_dtype
  validate_categories validate_ordered
pandas.core.dtypes.dtypes.PandasExtensionDtype < pandas.api.extensions.ExtensionDtype: reset_cache
scipy._lib._sparse.SparseABC < abc.ABC:
scipy.interpolate._bsplines.BSpline: _ensure_c_contiguous antiderivative basis_element construct_fast
  derivative design_matrix from_power_basis insert_knot integrate
scipy.sparse._base._spbase < scipy._lib._sparse.SparseABC: _add_dense _add_sparse _ascontainer _asfptype
  _broadcast_to _comparison _container _divide _get_index_dtype _getcol _getmaxprint _getnnz _getrow _imag
  _matmul_dispatch _matmul_multivector _matmul_sparse _matmul_vector _maximum_minimum _mul_scalar
  _process_toarray_args _real _rmatmul_dispatch _rsub_dense _setdiag _sub_dense _sub_sparse asformat astype
  conj conjugate copy count_nonzero diagonal dot maximum mean minimum multiply nonzero power reshape resize
  setdiag sum toarray tobsr tocoo tocsc tocsr todense todia todok tolil trace transpose
scipy.sparse._base.sparray:
scipy.sparse._bsr._bsr_base < scipy.sparse._compressed._cs_matrix scipy.sparse._data._minmax_mixin:
  _add_dense _binopt _broadcast_to _getnnz _matmul_multivector _matmul_sparse _matmul_vector _with_data
  check_format count_nonzero diagonal eliminate_zeros prune sort_indices sum_duplicates toarray tobsr tocoo
  tocsc tocsr transpose
scipy.sparse._bsr.bsr_matrix < scipy.sparse._matrix.spmatrix scipy.sparse._bsr._bsr_base:
scipy.sparse._compressed._cs_matrix < scipy.sparse._data._data_matrix scipy.sparse._data._minmax_mixin
  scipy.sparse._index.IndexMixin: _add_dense _add_sparse _binopt _broadcast_to _divide_sparse
  _get_arrayXarray _get_columnXarray _get_intXint _get_sliceXslice _get_submatrix _getnnz _insert_many
  _major_index_fancy _major_slice _matmul_multivector _matmul_sparse _matmul_vector _minor_index_fancy
  _minor_reduce _minor_slice _multiply_2d_with_broadcasting _prepare_indices _scalar_binopt _set_arrayXarray
  _set_arrayXarray_sparse _set_intXint _set_many _setdiag _sub_sparse _with_data _zero_many check_format
  count_nonzero diagonal eliminate_zeros prune resize sort_indices sorted_indices sum sum_duplicates toarray
  tocoo
scipy.sparse._coo._coo_base < scipy.sparse._data._data_matrix scipy.sparse._data._minmax_mixin: _add_dense
  _add_sparse _argminmax_axis_nd _broadcast_to _check _coo_to_compressed _dense_dot _dense_tensordot _getnnz
  _matmul_dispatch _matmul_multivector _matmul_sparse _matmul_vector _min_or_max_axis_nd _rmatmul_dispatch
  _setdiag _sparse_dot _sparse_tensordot _sub_sparse _sum_duplicates _sum_nd _with_data _zero_many
  count_nonzero diagonal dot eliminate_zeros reshape resize sum_duplicates tensordot toarray tocoo tocsc
  tocsr todia todok transpose
scipy.sparse._coo.coo_array < scipy.sparse._coo._coo_base scipy.sparse._base.sparray:
scipy.sparse._coo.coo_matrix < scipy.sparse._matrix.spmatrix scipy.sparse._coo._coo_base:
scipy.sparse._csc._csc_base < scipy.sparse._compressed._cs_matrix: _get_arrayXint _get_arrayXslice
  _get_intXarray _get_intXslice _get_sliceXarray _get_sliceXint _getcol _getrow _swap nonzero tocsc tocsr
  transpose
scipy.sparse._csc.csc_array < scipy.sparse._csc._csc_base scipy.sparse._base.sparray:
scipy.sparse._csc.csc_matrix < scipy.sparse._matrix.spmatrix scipy.sparse._csc._csc_base:
scipy.sparse._csr._csr_base < scipy.sparse._compressed._cs_matrix: _get_array _get_arrayXint _get_arrayXslice
  _get_int _get_intXarray _get_intXslice _get_slice _get_sliceXarray _get_sliceXint _getcol _getrow
  _set_array _set_int _swap tobsr tocoo tocsc tocsr tolil transpose
scipy.sparse._csr.csr_array < scipy.sparse._csr._csr_base scipy.sparse._base.sparray:
scipy.sparse._csr.csr_matrix < scipy.sparse._matrix.spmatrix scipy.sparse._csr._csr_base:
scipy.sparse._data._data_matrix < scipy.sparse._base._spbase: _deduped_data _imag _mul_scalar _real arcsin
  arcsinh arctan arctanh astype ceil conjugate copy deg2rad expm1 floor log1p power rad2deg rint sign sin
  sinh sqrt tan tanh trunc
scipy.sparse._data._minmax_mixin: _argminmax _argminmax_axis _min_or_max _min_or_max_axis argmax argmin max
  min nanmax nanmin
scipy.sparse._dia._dia_base < scipy.sparse._data._data_matrix: _add_sparse _data_mask _getnnz
  _matmul_multivector _matmul_sparse _matmul_vector _mul_scalar _setdiag _sub_sparse _with_data count_nonzero
  diagonal multiply resize sum tocsr todia transpose
scipy.sparse._dia.dia_matrix < scipy.sparse._matrix.spmatrix scipy.sparse._dia._dia_base:
scipy.sparse._dok._dok_base < scipy.sparse._base._spbase scipy.sparse._index.IndexMixin builtins.dict:
  _get_array _get_arrayXarray _get_arrayXint _get_arrayXslice _get_columnXarray _get_int _get_intXarray
  _get_intXint _get_intXslice _get_slice _get_sliceXarray _get_sliceXint _get_sliceXslice _getnnz
  _matmul_multivector _matmul_vector _mul_scalar _set_array _set_arrayXarray _set_int _set_intXint astype
  clear copy count_nonzero diagonal fromkeys get items keys pop popitem resize setdefault tocoo tocsc todok
  transpose update values
scipy.sparse._dok.dok_matrix < scipy.sparse._matrix.spmatrix scipy.sparse._dok._dok_base: get_shape set_shape
scipy.sparse._index.IndexMixin: _get_array _get_arrayXarray _get_arrayXint _get_arrayXslice _get_columnXarray
  _get_int _get_intXarray _get_intXint _get_intXslice _get_slice _get_sliceXarray _get_sliceXint
  _get_sliceXslice _getcol _getrow _set_array _set_arrayXarray _set_arrayXarray_sparse _set_int _set_intXint
scipy.sparse._lil._lil_base < scipy.sparse._base._spbase scipy.sparse._index.IndexMixin: _get_arrayXarray
  _get_arrayXint _get_arrayXslice _get_columnXarray _get_intXarray _get_intXint _get_intXslice
  _get_row_ranges _get_sliceXarray _get_sliceXint _get_sliceXslice _getnnz _mul_scalar _set_arrayXarray
  _set_arrayXarray_sparse _set_intXint copy count_nonzero getrow getrowview reshape resize toarray tocsr
  tolil transpose
scipy.sparse._lil.lil_matrix < scipy.sparse._matrix.spmatrix scipy.sparse._lil._lil_base:
scipy.sparse._matrix.spmatrix: asfptype getH get_shape getcol getformat getmaxprint getnnz getrow set_shape
  todense
scipy.stats._continuous_distns.beta_gen < scipy.stats._distn_infrastructure.rv_continuous: _cdf _entropy
  _fitstart _isf _logpdf _pdf _ppf _rvs _sf _shape_info _stats fit
scipy.stats._continuous_distns.expon_gen < scipy.stats._distn_infrastructure.rv_continuous: _cdf _entropy
  _isf _logpdf _logsf _pdf _ppf _rvs _sf _shape_info _stats fit
scipy.stats._continuous_distns.gamma_gen < scipy.stats._distn_infrastructure.rv_continuous: _cdf _entropy
  _fitstart _isf _logpdf _munp _pdf _ppf _rvs _sf _shape_info _stats fit
scipy.stats._continuous_distns.lognorm_gen < scipy.stats._distn_infrastructure.rv_continuous: _cdf _entropy
  _isf _logcdf _logpdf _logsf _pdf _ppf _rvs _sf _shape_info _stats _support_mask fit
scipy.stats._continuous_distns.norm_gen < scipy.stats._distn_infrastructure.rv_continuous: _cdf _entropy _isf
  _logcdf _logpdf _logsf _munp _pdf _ppf _rvs _sf _shape_info _stats fit
scipy.stats._continuous_distns.reciprocal_gen < scipy.stats._distn_infrastructure.rv_continuous: _argcheck
  _cdf _entropy _fitstart _get_support _logpdf _munp _pdf _ppf _shape_info fit
scipy.stats._continuous_distns.truncnorm_gen < scipy.stats._distn_infrastructure.rv_continuous: _argcheck
  _cdf _entropy _fitstart _get_support _isf _logcdf _logpdf _logsf _munp _pdf _ppf _sf _shape_info _stats
scipy.stats._continuous_distns.uniform_gen < scipy.stats._distn_infrastructure.rv_continuous: _cdf _entropy
  _pdf _ppf _rvs _shape_info _stats fit
scipy.stats._discrete_distns.binom_gen < scipy.stats._distn_infrastructure.rv_discrete: _argcheck _cdf
  _entropy _get_support _isf _logpmf _pmf _ppf _rvs _sf _shape_info _stats
scipy.stats._discrete_distns.geom_gen < scipy.stats._distn_infrastructure.rv_discrete: _argcheck _cdf
  _entropy _logpmf _logsf _pmf _ppf _rvs _sf _shape_info _stats
scipy.stats._discrete_distns.poisson_gen < scipy.stats._distn_infrastructure.rv_discrete: _argcheck _cdf
  _logpmf _pmf _ppf _rvs _sf _shape_info _stats
scipy.stats._discrete_distns.randint_gen < scipy.stats._distn_infrastructure.rv_discrete: _argcheck _cdf
  _entropy _get_support _pmf _ppf _rvs _shape_info _stats
scipy.stats._distn_infrastructure.rv_continuous < scipy.stats._distn_infrastructure.rv_generic:
  _attach_methods _cdf _cdf_single _delta_cdf _entropy _fit_loc_scale_support _fitstart _logcdf _logpdf
  _logpxf _logsf _mom0_sc _mom1_sc _mom_integ0 _mom_integ1 _moment_error _nnlf_and_penalty _param_info _pdf
  _penalized_nnlf _ppf_single _ppf_to_solve _reduce_func _unpack_loc_scale _updated_ctor_param cdf expect fit
  fit_loc_scale isf logcdf logpdf logsf pdf ppf sf
scipy.stats._distn_infrastructure.rv_continuous_frozen < scipy.stats._distn_infrastructure.rv_frozen: logpdf
  pdf
scipy.stats._distn_infrastructure.rv_discrete < scipy.stats._distn_infrastructure.rv_generic: _attach_methods
  _cdf _cdf_single _construct_docstrings _entropy _logpmf _logpxf _nonzero _param_info _pmf _unpack_loc_scale
  _updated_ctor_param cdf expect isf logcdf logpmf logsf pmf ppf rvs sf
scipy.stats._distn_infrastructure.rv_discrete_frozen < scipy.stats._distn_infrastructure.rv_frozen: logpmf
  pmf
scipy.stats._distn_infrastructure.rv_frozen: cdf entropy expect interval isf logcdf logsf mean median moment
  ppf rvs sf stats std support var
scipy.stats._distn_infrastructure.rv_generic: _argcheck _argcheck_rvs _attach_argparser_methods
  _attach_methods _construct_argparser _construct_default_doc _construct_doc _get_support _isf _logcdf _logsf
  _munp _nlff_and_penalty _nnlf _open_support_mask _penalized_nlpsf _penalized_nnlf _ppf _rvs _sf _stats
  _support_mask entropy freeze interval mean median moment nnlf rvs stats std support var
sklearn._loss.link.BaseLink < abc.ABC: inverse link
sklearn._loss.link.HalfLogitLink < sklearn._loss.link.BaseLink: inverse link
sklearn._loss.link.IdentityLink < sklearn._loss.link.BaseLink: inverse link
sklearn._loss.link.Interval: includes
sklearn._loss.link.LogLink < sklearn._loss.link.BaseLink: inverse link
sklearn._loss.link.LogitLink < sklearn._loss.link.BaseLink: inverse link
sklearn._loss.link.MultinomialLogit < sklearn._loss.link.BaseLink: inverse link symmetrize_raw_prediction
sklearn._loss.loss.AbsoluteError < sklearn._loss.loss.BaseLoss: fit_intercept_only
sklearn._loss.loss.BaseLoss: constant_to_optimal_zero fit_intercept_only gradient gradient_hessian
  in_y_pred_range in_y_true_range init_gradient_and_hessian loss loss_gradient
sklearn._loss.loss.ExponentialLoss < sklearn._loss.loss.BaseLoss: constant_to_optimal_zero predict_proba
sklearn._loss.loss.HalfBinomialLoss < sklearn._loss.loss.BaseLoss: constant_to_optimal_zero predict_proba
sklearn._loss.loss.HalfGammaLoss < sklearn._loss.loss.BaseLoss: constant_to_optimal_zero
sklearn._loss.loss.HalfMultinomialLoss < sklearn._loss.loss.BaseLoss: fit_intercept_only gradient_proba
  in_y_true_range predict_proba
sklearn._loss.loss.HalfPoissonLoss < sklearn._loss.loss.BaseLoss: constant_to_optimal_zero
sklearn._loss.loss.HalfSquaredError < sklearn._loss.loss.BaseLoss:
sklearn._loss.loss.HalfTweedieLossIdentity < sklearn._loss.loss.BaseLoss:
sklearn._loss.loss.HuberLoss < sklearn._loss.loss.BaseLoss: fit_intercept_only
sklearn._loss.loss.PinballLoss < sklearn._loss.loss.BaseLoss: fit_intercept_only
sklearn.base.BaseEstimator < sklearn.utils._repr_html.base.ReprHTMLMixin
  sklearn.utils._repr_html.base._HTMLDocumentationLinkMixin
  sklearn.utils._metadata_requests._MetadataRequester: _get_fitted_attr_html _get_param_names
  _get_params_html _html_repr _validate_params get_params set_params
sklearn.base.BiclusterMixin: get_indices get_shape get_submatrix
sklearn.base.ClassNamePrefixFeaturesOutMixin: get_feature_names_out
sklearn.base.ClassifierMixin: score
sklearn.base.ClusterMixin: fit_predict
sklearn.base.DensityMixin: score
sklearn.base.MetaEstimatorMixin:
sklearn.base.MultiOutputMixin:
sklearn.base.OneToOneFeatureMixin: get_feature_names_out
sklearn.base.OutlierMixin: fit_predict
sklearn.base.RegressorMixin: score
sklearn.base.TransformerMixin < sklearn.utils._set_output._SetOutputMixin: fit_transform
sklearn.base._UnstableArchMixin:
sklearn.calibration.CalibratedClassifierCV < sklearn.base.ClassifierMixin sklearn.base.MetaEstimatorMixin
  sklearn.base.BaseEstimator: _get_estimator fit get_metadata_routing predict predict_proba set_fit_request
  set_score_request
sklearn.calibration._CalibratedClassifier: predict_proba
sklearn.calibration._SigmoidCalibration < sklearn.base.RegressorMixin sklearn.base.BaseEstimator: fit predict
  set_fit_request set_predict_request set_score_request
sklearn.callback._callback_support.CallbackSupportMixin: _init_callback_context set_callbacks
sklearn.cluster._affinity_propagation.AffinityPropagation < sklearn.base.ClusterMixin
  sklearn.base.BaseEstimator: fit fit_predict predict
sklearn.cluster._agglomerative.AgglomerativeClustering < sklearn.base.ClusterMixin
  sklearn.base.BaseEstimator: _fit fit fit_predict
sklearn.cluster._agglomerative.FeatureAgglomeration < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.cluster._feature_agglomeration.AgglomerationTransform
  sklearn.cluster._agglomerative.AgglomerativeClustering: fit
sklearn.cluster._bicluster.BaseSpectral < sklearn.base.BiclusterMixin sklearn.base.BaseEstimator:
  _check_parameters _k_means _svd fit
sklearn.cluster._bicluster.SpectralBiclustering < sklearn.cluster._bicluster.BaseSpectral: _check_parameters
  _fit _fit_best_piecewise _project_and_cluster
sklearn.cluster._bicluster.SpectralCoclustering < sklearn.cluster._bicluster.BaseSpectral: _check_parameters
  _fit
sklearn.cluster._birch.Birch < sklearn.base.ClassNamePrefixFeaturesOutMixin sklearn.base.ClusterMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _fit _get_leaves _global_clustering _predict fit
  partial_fit predict transform
sklearn.cluster._birch._CFNode: append_subcluster insert_cf_subcluster update_split_subclusters
sklearn.cluster._birch._CFSubcluster: merge_subcluster update
sklearn.cluster._bisect_k_means.BisectingKMeans < sklearn.cluster._kmeans._BaseKMeans: _bisect
  _inertia_per_cluster _predict_recursive _warn_mkl_vcomp fit predict set_fit_request set_score_request
sklearn.cluster._bisect_k_means._BisectingTree: get_cluster_to_bisect iter_leaves split
sklearn.cluster._dbscan.DBSCAN < sklearn.base.ClusterMixin sklearn.base.BaseEstimator: fit fit_predict
  set_fit_request
sklearn.cluster._feature_agglomeration.AgglomerationTransform < sklearn.base.TransformerMixin:
  inverse_transform transform
sklearn.cluster._hdbscan.hdbscan.HDBSCAN < sklearn.base.ClusterMixin sklearn.base.BaseEstimator:
  _weighted_cluster_center dbscan_clustering fit fit_predict
sklearn.cluster._kmeans.KMeans < sklearn.cluster._kmeans._BaseKMeans: _check_params_vs_input _warn_mkl_vcomp
  fit set_fit_request set_score_request
sklearn.cluster._kmeans.MiniBatchKMeans < sklearn.cluster._kmeans._BaseKMeans: _check_params_vs_input
  _mini_batch_convergence _random_reassign _warn_mkl_vcomp fit partial_fit set_fit_request
  set_partial_fit_request set_score_request
sklearn.cluster._kmeans._BaseKMeans < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.ClusterMixin sklearn.base.BaseEstimator abc.ABC:
  _check_mkl_vcomp _check_params_vs_input _check_test_data _init_centroids _transform _validate_center_shape
  _warn_mkl_vcomp fit_predict fit_transform predict score set_score_request transform
sklearn.cluster._mean_shift.MeanShift < sklearn.base.ClusterMixin sklearn.base.BaseEstimator: fit predict
sklearn.cluster._optics.OPTICS < sklearn.base.ClusterMixin sklearn.base.BaseEstimator: fit
sklearn.cluster._spectral.SpectralClustering < sklearn.base.ClusterMixin sklearn.base.BaseEstimator: fit
  fit_predict
sklearn.compose._column_transformer.ColumnTransformer < sklearn.base.TransformerMixin
  sklearn.utils.metaestimators._BaseComposition: _add_prefix_for_feature_names_out _call_func_on_transformers
  _get_feature_name_out_for_transformer _get_remainder_cols _get_remainder_cols_dtype _hstack _iter
  _log_message _record_output_indices _sk_visual_block_ _update_fitted_transformers
  _validate_column_callables _validate_output _validate_remainder _validate_transformers fit fit_transform
  get_feature_names_out get_metadata_routing get_params set_output set_params transform
sklearn.compose._column_transformer.make_column_selector:
sklearn.compose._target.TransformedTargetRegressor < sklearn.base.RegressorMixin sklearn.base.BaseEstimator:
  _fit_transformer _get_regressor _sk_visual_block_ fit get_metadata_routing predict set_score_request
sklearn.covariance._elliptic_envelope.EllipticEnvelope < sklearn.base.OutlierMixin
  sklearn.covariance._robust_covariance.MinCovDet: decision_function fit predict score score_samples
sklearn.covariance._empirical_covariance.EmpiricalCovariance < sklearn.base.BaseEstimator: _set_covariance
  error_norm fit get_precision mahalanobis score
sklearn.covariance._graph_lasso.BaseGraphicalLasso <
  sklearn.covariance._empirical_covariance.EmpiricalCovariance:
sklearn.covariance._graph_lasso.GraphicalLasso < sklearn.covariance._graph_lasso.BaseGraphicalLasso: fit
sklearn.covariance._graph_lasso.GraphicalLassoCV < sklearn.covariance._graph_lasso.BaseGraphicalLasso: fit
  get_metadata_routing
sklearn.covariance._robust_covariance.MinCovDet <
  sklearn.covariance._empirical_covariance.EmpiricalCovariance: _nonrobust_covariance correct_covariance fit
  reweight_covariance
sklearn.covariance._shrunk_covariance.LedoitWolf <
  sklearn.covariance._empirical_covariance.EmpiricalCovariance: fit
sklearn.covariance._shrunk_covariance.OAS < sklearn.covariance._empirical_covariance.EmpiricalCovariance: fit
sklearn.covariance._shrunk_covariance.ShrunkCovariance <
  sklearn.covariance._empirical_covariance.EmpiricalCovariance: fit
sklearn.cross_decomposition._pls.CCA < sklearn.cross_decomposition._pls._PLS: set_predict_request
  set_score_request set_transform_request
sklearn.cross_decomposition._pls.PLSCanonical < sklearn.cross_decomposition._pls._PLS: set_predict_request
  set_score_request set_transform_request
sklearn.cross_decomposition._pls.PLSRegression < sklearn.cross_decomposition._pls._PLS: fit
  set_predict_request set_score_request set_transform_request
sklearn.cross_decomposition._pls.PLSSVD < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: fit fit_transform transform
sklearn.cross_decomposition._pls._PLS < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.RegressorMixin sklearn.base.MultiOutputMixin
  sklearn.base.BaseEstimator: fit fit_transform inverse_transform predict set_predict_request
  set_score_request set_transform_request transform
sklearn.decomposition._base._BasePCA < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _transform fit get_covariance get_precision
  inverse_transform transform
sklearn.decomposition._dict_learning.DictionaryLearning <
  sklearn.decomposition._dict_learning._BaseSparseCoding sklearn.base.BaseEstimator: fit fit_transform
sklearn.decomposition._dict_learning.MiniBatchDictionaryLearning <
  sklearn.decomposition._dict_learning._BaseSparseCoding sklearn.base.BaseEstimator: _check_convergence
  _check_params _initialize_dict _minibatch_step _update_inner_stats fit partial_fit
sklearn.decomposition._dict_learning.SparseCoder < sklearn.decomposition._dict_learning._BaseSparseCoding
  sklearn.base.BaseEstimator: fit inverse_transform transform
sklearn.decomposition._dict_learning._BaseSparseCoding < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin: _inverse_transform _transform inverse_transform transform
sklearn.decomposition._factor_analysis.FactorAnalysis < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _rotate fit get_covariance get_precision score
  score_samples transform
sklearn.decomposition._fastica.FastICA < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _fit_transform fit fit_transform
  inverse_transform set_inverse_transform_request set_transform_request transform
sklearn.decomposition._incremental_pca.IncrementalPCA < sklearn.decomposition._base._BasePCA: fit partial_fit
  transform
sklearn.decomposition._kernel_pca.KernelPCA < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _fit_inverse_transform _fit_transform_in_place
  _get_kernel fit fit_transform inverse_transform transform
sklearn.decomposition._lda.LatentDirichletAllocation < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _approx_bound _check_non_neg_array _e_step
  _em_step _init_latent_vars _perplexity_precomp_distr _unnormalized_transform fit fit_transform partial_fit
  perplexity score set_transform_request transform
sklearn.decomposition._nmf.MiniBatchNMF < sklearn.decomposition._nmf._BaseNMF: _check_params _fit_transform
  _minibatch_convergence _minibatch_step _solve_W fit_transform partial_fit set_partial_fit_request transform
sklearn.decomposition._nmf.NMF < sklearn.decomposition._nmf._BaseNMF: _check_params _fit_transform
  fit_transform transform
sklearn.decomposition._nmf._BaseNMF < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator abc.ABC: _check_params _check_w_h
  _compute_regularization fit inverse_transform
sklearn.decomposition._pca.PCA < sklearn.decomposition._base._BasePCA: _fit _fit_full _fit_truncated fit
  fit_transform score score_samples
sklearn.decomposition._sparse_pca.MiniBatchSparsePCA < sklearn.decomposition._sparse_pca._BaseSparsePCA: _fit
sklearn.decomposition._sparse_pca.SparsePCA < sklearn.decomposition._sparse_pca._BaseSparsePCA: _fit
sklearn.decomposition._sparse_pca._BaseSparsePCA < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: fit inverse_transform transform
sklearn.decomposition._truncated_svd.TruncatedSVD < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: fit fit_transform inverse_transform transform
sklearn.discriminant_analysis.DiscriminantAnalysisPredictionMixin: decision_function predict
  predict_log_proba predict_proba
sklearn.discriminant_analysis.LinearDiscriminantAnalysis < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.linear_model._base.LinearClassifierMixin sklearn.base.TransformerMixin sklearn.base.BaseEstimator:
  _solve_eigen _solve_lstsq _solve_svd decision_function fit predict_log_proba predict_proba
  set_score_request transform
sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis <
  sklearn.discriminant_analysis.DiscriminantAnalysisPredictionMixin sklearn.base.ClassifierMixin
  sklearn.base.BaseEstimator: _decision_function _solve_eigen _solve_svd decision_function fit
  set_score_request
sklearn.dummy.DummyClassifier < sklearn.base.MultiOutputMixin sklearn.base.ClassifierMixin
  sklearn.base.BaseEstimator: fit predict predict_log_proba predict_proba score set_fit_request
  set_score_request
sklearn.dummy.DummyRegressor < sklearn.base.MultiOutputMixin sklearn.base.RegressorMixin
  sklearn.base.BaseEstimator: fit predict score set_fit_request set_predict_request set_score_request
sklearn.ensemble._bagging.BaggingClassifier < sklearn.base.ClassifierMixin
  sklearn.ensemble._bagging.BaseBagging: _get_estimator _set_oob_score _validate_y decision_function predict
  predict_log_proba predict_proba set_fit_request set_score_request
sklearn.ensemble._bagging.BaggingRegressor < sklearn.base.RegressorMixin
  sklearn.ensemble._bagging.BaseBagging: _get_estimator _set_oob_score predict set_fit_request
  set_score_request
sklearn.ensemble._bagging.BaseBagging < sklearn.ensemble._base.BaseEnsemble: _fit _get_estimator
  _get_estimators_indices _parallel_args _set_oob_score _validate_y fit get_metadata_routing set_fit_request
sklearn.ensemble._base.BaseEnsemble < sklearn.base.MetaEstimatorMixin sklearn.base.BaseEstimator:
  _make_estimator _validate_estimator
sklearn.ensemble._base._BaseHeterogeneousEnsemble < sklearn.base.MetaEstimatorMixin
  sklearn.utils.metaestimators._BaseComposition: _validate_estimators get_params set_params
sklearn.ensemble._forest.BaseForest < sklearn.base.MultiOutputMixin sklearn.ensemble._base.BaseEnsemble:
  _compute_oob_predictions _get_estimators_indices _set_oob_score_and_attributes _validate_X_predict
  _validate_y_class_weight apply decision_path fit set_fit_request
sklearn.ensemble._forest.ExtraTreesClassifier < sklearn.ensemble._forest.ForestClassifier: set_fit_request
  set_score_request
sklearn.ensemble._forest.ExtraTreesRegressor < sklearn.ensemble._forest.ForestRegressor: set_fit_request
  set_score_request
sklearn.ensemble._forest.ForestClassifier < sklearn.base.ClassifierMixin sklearn.ensemble._forest.BaseForest:
  _get_oob_predictions _set_oob_score_and_attributes _validate_y_class_weight predict predict_log_proba
  predict_proba set_fit_request set_score_request
sklearn.ensemble._forest.ForestRegressor < sklearn.base.RegressorMixin sklearn.ensemble._forest.BaseForest:
  _compute_partial_dependence_recursion _get_oob_predictions _set_oob_score_and_attributes predict
  set_fit_request set_score_request
sklearn.ensemble._forest.RandomForestClassifier < sklearn.ensemble._forest.ForestClassifier: set_fit_request
  set_score_request
sklearn.ensemble._forest.RandomForestRegressor < sklearn.ensemble._forest.ForestRegressor: set_fit_request
  set_score_request
sklearn.ensemble._forest.RandomTreesEmbedding < sklearn.base.TransformerMixin
  sklearn.ensemble._forest.BaseForest: _set_oob_score_and_attributes fit fit_transform get_feature_names_out
  set_fit_request transform
sklearn.ensemble._gb.BaseGradientBoosting < sklearn.ensemble._base.BaseEnsemble: _check_initialized
  _clear_state _compute_partial_dependence_recursion _encode_y _fit_stage _fit_stages _get_loss _init_state
  _is_fitted _make_estimator _raw_predict _raw_predict_init _resize_state _set_max_features
  _staged_raw_predict apply fit set_fit_request
sklearn.ensemble._gb.GradientBoostingClassifier < sklearn.base.ClassifierMixin
  sklearn.ensemble._gb.BaseGradientBoosting: _encode_y _get_loss decision_function predict predict_log_proba
  predict_proba set_fit_request set_score_request staged_decision_function staged_predict
  staged_predict_proba
sklearn.ensemble._gb.GradientBoostingRegressor < sklearn.base.RegressorMixin
  sklearn.ensemble._gb.BaseGradientBoosting: _encode_y _get_loss apply predict set_fit_request
  set_score_request staged_predict
sklearn.ensemble._hist_gradient_boosting.binning._BinMapper < sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: fit make_known_categories_bitsets set_fit_request transform
sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting <
  sklearn.base.BaseEstimator abc.ABC: _bin_data _check_categories _check_early_stopping_loss
  _check_early_stopping_scorer _check_interaction_cst _clear_state _compute_partial_dependence_recursion
  _encode_y _encode_y_val _finalize_sample_weight _get_loss _get_small_trainset _is_fitted
  _predict_iterations _preprocess_X _print_iteration_stats _raw_predict _score_with_raw_predictions
  _should_stop _staged_raw_predict _validate_parameters fit set_fit_request
sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier <
  sklearn.base.ClassifierMixin
  sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting: _encode_y
  _encode_y_val _finalize_sample_weight _get_loss decision_function predict predict_proba set_fit_request
  set_score_request staged_decision_function staged_predict staged_predict_proba
sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor <
  sklearn.base.RegressorMixin
  sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting: _encode_y
  _encode_y_val _get_loss predict set_fit_request set_score_request staged_predict
sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor: compute_partial_dependence get_max_depth
  get_n_leaf_nodes predict predict_binned
sklearn.ensemble._iforest.IsolationForest < sklearn.base.OutlierMixin sklearn.ensemble._bagging.BaseBagging:
  _compute_chunked_score_samples _compute_score_samples _get_estimator _parallel_args _score_samples
  _set_oob_score decision_function fit predict score_samples set_fit_request
sklearn.ensemble._stacking.StackingClassifier < sklearn.base.ClassifierMixin
  sklearn.ensemble._stacking._BaseStacking: _sk_visual_block_ _validate_estimators _validate_final_estimator
  decision_function fit predict predict_proba set_score_request transform
sklearn.ensemble._stacking.StackingRegressor < sklearn.base.RegressorMixin
  sklearn.ensemble._stacking._BaseStacking: _sk_visual_block_ _validate_final_estimator fit fit_transform
  predict set_score_request transform
sklearn.ensemble._stacking._BaseStacking < sklearn.base.TransformerMixin
  sklearn.ensemble._base._BaseHeterogeneousEnsemble: _clone_final_estimator _concatenate_predictions
  _method_name _sk_visual_block_with_final_estimator _transform fit get_feature_names_out
  get_metadata_routing predict
sklearn.ensemble._voting.VotingClassifier < sklearn.base.ClassifierMixin
  sklearn.ensemble._voting._BaseVoting: _check_voting _collect_probas fit get_feature_names_out predict
  predict_proba set_score_request transform
sklearn.ensemble._voting.VotingRegressor < sklearn.base.RegressorMixin sklearn.ensemble._voting._BaseVoting:
  fit get_feature_names_out predict set_score_request transform
sklearn.ensemble._voting._BaseVoting < sklearn.base.TransformerMixin
  sklearn.ensemble._base._BaseHeterogeneousEnsemble: _log_message _predict _sk_visual_block_ fit
  fit_transform get_metadata_routing
sklearn.ensemble._weight_boosting.AdaBoostClassifier <
  sklearn.utils._metadata_requests._RoutingNotSupportedMixin sklearn.base.ClassifierMixin
  sklearn.ensemble._weight_boosting.BaseWeightBoosting: _boost _compute_proba_from_decision
  _validate_estimator decision_function predict predict_log_proba predict_proba set_fit_request
  set_score_request staged_decision_function staged_predict staged_predict_proba
sklearn.ensemble._weight_boosting.AdaBoostRegressor <
  sklearn.utils._metadata_requests._RoutingNotSupportedMixin sklearn.base.RegressorMixin
  sklearn.ensemble._weight_boosting.BaseWeightBoosting: _boost _get_median_predict _validate_estimator
  predict set_fit_request set_score_request staged_predict
sklearn.ensemble._weight_boosting.BaseWeightBoosting < sklearn.ensemble._base.BaseEnsemble: _boost _check_X
  fit set_fit_request staged_score
sklearn.feature_extraction._dict_vectorizer.DictVectorizer < sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: _add_iterable_element _transform fit fit_transform get_feature_names_out
  inverse_transform restrict transform
sklearn.feature_extraction._hash.FeatureHasher < sklearn.base.TransformerMixin sklearn.base.BaseEstimator:
  fit transform
sklearn.feature_extraction.image.PatchExtractor < sklearn.base.TransformerMixin sklearn.base.BaseEstimator:
  fit transform
sklearn.feature_extraction.text.CountVectorizer < sklearn.feature_extraction.text._VectorizerMixin
  sklearn.base.BaseEstimator: _count_vocab _limit_features _sort_features fit fit_transform
  get_feature_names_out inverse_transform transform
sklearn.feature_extraction.text.HashingVectorizer < sklearn.base.TransformerMixin
  sklearn.feature_extraction.text._VectorizerMixin sklearn.base.BaseEstimator: _get_hasher fit fit_transform
  partial_fit transform
sklearn.feature_extraction.text.TfidfTransformer < sklearn.base.OneToOneFeatureMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: fit set_transform_request transform
sklearn.feature_extraction.text.TfidfVectorizer < sklearn.feature_extraction.text.CountVectorizer:
  _check_params fit fit_transform transform
sklearn.feature_extraction.text._VectorizerMixin: _char_ngrams _char_wb_ngrams _check_stop_words_consistency
  _check_vocabulary _validate_ngram_range _validate_vocabulary _warn_for_unused_params _word_ngrams
  build_analyzer build_preprocessor build_tokenizer decode get_stop_words
sklearn.feature_selection._base.SelectorMixin < sklearn.base.TransformerMixin: _get_support_mask _transform
  get_feature_names_out get_support inverse_transform transform
sklearn.feature_selection._from_model.SelectFromModel < sklearn.base.MetaEstimatorMixin
  sklearn.feature_selection._base.SelectorMixin sklearn.base.BaseEstimator: _check_max_features
  _get_support_mask fit get_metadata_routing partial_fit
sklearn.feature_selection._rfe.RFE < sklearn.feature_selection._base.SelectorMixin
  sklearn.base.MetaEstimatorMixin sklearn.base.BaseEstimator: _fit _get_support_mask decision_function fit
  get_metadata_routing predict predict_log_proba predict_proba score
sklearn.feature_selection._rfe.RFECV < sklearn.feature_selection._rfe.RFE: _get_scorer fit
  get_metadata_routing score
sklearn.feature_selection._sequential.SequentialFeatureSelector <
  sklearn.feature_selection._base.SelectorMixin sklearn.base.MetaEstimatorMixin sklearn.base.BaseEstimator:
  _get_best_new_feature_score _get_support_mask fit get_metadata_routing
sklearn.feature_selection._univariate_selection.GenericUnivariateSelect <
  sklearn.feature_selection._univariate_selection._BaseFilter: _check_params _get_support_mask _make_selector
sklearn.feature_selection._univariate_selection.SelectFdr <
  sklearn.feature_selection._univariate_selection._BaseFilter: _get_support_mask
sklearn.feature_selection._univariate_selection.SelectFpr <
  sklearn.feature_selection._univariate_selection._BaseFilter: _get_support_mask
sklearn.feature_selection._univariate_selection.SelectFwe <
  sklearn.feature_selection._univariate_selection._BaseFilter: _get_support_mask
sklearn.feature_selection._univariate_selection.SelectKBest <
  sklearn.feature_selection._univariate_selection._BaseFilter: _check_params _get_support_mask
sklearn.feature_selection._univariate_selection.SelectPercentile <
  sklearn.feature_selection._univariate_selection._BaseFilter: _get_support_mask
sklearn.feature_selection._univariate_selection._BaseFilter < sklearn.feature_selection._base.SelectorMixin
  sklearn.base.BaseEstimator: _check_params fit
sklearn.feature_selection._variance_threshold.VarianceThreshold <
  sklearn.feature_selection._base.SelectorMixin sklearn.base.BaseEstimator: _get_support_mask fit
sklearn.frozen._frozen.FrozenEstimator < sklearn.base.BaseEstimator: fit get_params set_params
sklearn.gaussian_process._gpc.GaussianProcessClassifier < sklearn.base.ClassifierMixin
  sklearn.base.BaseEstimator: fit latent_mean_and_variance log_marginal_likelihood predict predict_proba
  set_score_request
sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace < sklearn.base.BaseEstimator:
  _constrained_optimization _posterior_mode fit latent_mean_and_variance log_marginal_likelihood predict
  predict_proba
sklearn.gaussian_process._gpr.GaussianProcessRegressor < sklearn.base.MultiOutputMixin
  sklearn.base.RegressorMixin sklearn.base.BaseEstimator: _constrained_optimization fit
  log_marginal_likelihood predict sample_y set_predict_request set_score_request
sklearn.gaussian_process.kernels.ConstantKernel < sklearn.gaussian_process.kernels.StationaryKernelMixin
  sklearn.gaussian_process.kernels.GenericKernelMixin sklearn.gaussian_process.kernels.Kernel: diag
sklearn.gaussian_process.kernels.DotProduct < sklearn.gaussian_process.kernels.Kernel: diag is_stationary
sklearn.gaussian_process.kernels.Exponentiation < sklearn.gaussian_process.kernels.Kernel: diag get_params
  is_stationary
sklearn.gaussian_process.kernels.GenericKernelMixin:
sklearn.gaussian_process.kernels.Kernel: _check_bounds_params clone_with_theta diag get_params is_stationary
  set_params
sklearn.gaussian_process.kernels.KernelOperator < sklearn.gaussian_process.kernels.Kernel: get_params
  is_stationary
sklearn.gaussian_process.kernels.Matern < sklearn.gaussian_process.kernels.RBF:
sklearn.gaussian_process.kernels.NormalizedKernelMixin: diag
sklearn.gaussian_process.kernels.PairwiseKernel < sklearn.gaussian_process.kernels.Kernel: diag is_stationary
sklearn.gaussian_process.kernels.Product < sklearn.gaussian_process.kernels.KernelOperator: diag
sklearn.gaussian_process.kernels.RBF < sklearn.gaussian_process.kernels.StationaryKernelMixin
  sklearn.gaussian_process.kernels.NormalizedKernelMixin sklearn.gaussian_process.kernels.Kernel:
sklearn.gaussian_process.kernels.RationalQuadratic < sklearn.gaussian_process.kernels.StationaryKernelMixin
  sklearn.gaussian_process.kernels.NormalizedKernelMixin sklearn.gaussian_process.kernels.Kernel:
sklearn.gaussian_process.kernels.StationaryKernelMixin: is_stationary
sklearn.gaussian_process.kernels.Sum < sklearn.gaussian_process.kernels.KernelOperator: diag
sklearn.gaussian_process.kernels.WhiteKernel < sklearn.gaussian_process.kernels.StationaryKernelMixin
  sklearn.gaussian_process.kernels.GenericKernelMixin sklearn.gaussian_process.kernels.Kernel: diag
sklearn.impute._base.MissingIndicator < sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _fit
  _get_missing_features_info _validate_input fit fit_transform get_feature_names_out transform
sklearn.impute._base.SimpleImputer < sklearn.impute._base._BaseImputer: _dense_fit _sparse_fit
  _validate_input fit get_feature_names_out inverse_transform transform
sklearn.impute._base._BaseImputer < sklearn.base.TransformerMixin sklearn.base.BaseEstimator:
  _concatenate_indicator _concatenate_indicator_feature_names_out _fit_indicator _transform_indicator
sklearn.impute._iterative.IterativeImputer < sklearn.impute._base._BaseImputer: _get_abs_corr_mat
  _get_neighbor_feat_idx _get_ordered_idx _impute_one_feature _initial_imputation _validate_limit fit
  fit_transform get_feature_names_out get_metadata_routing transform
sklearn.impute._iterative._ImputerTriplet < builtins.tuple: _asdict _make _replace
sklearn.impute._knn.KNNImputer < sklearn.impute._base._BaseImputer: _calc_impute fit get_feature_names_out
  transform
sklearn.isotonic.IsotonicRegression < sklearn.base.RegressorMixin sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: _build_f _build_y _check_input_data_shape _transform fit get_feature_names_out
  predict set_fit_request set_score_request transform
sklearn.kernel_approximation.AdditiveChi2Sampler < sklearn.base.TransformerMixin sklearn.base.BaseEstimator:
  _transform_dense _transform_sparse fit get_feature_names_out transform
sklearn.kernel_approximation.Nystroem < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _get_kernel_params fit transform
sklearn.kernel_approximation.PolynomialCountSketch < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: fit transform
sklearn.kernel_approximation.RBFSampler < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: fit transform
sklearn.kernel_approximation.SkewedChi2Sampler < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: fit transform
sklearn.kernel_ridge.KernelRidge < sklearn.base.MultiOutputMixin sklearn.base.RegressorMixin
  sklearn.base.BaseEstimator: _get_kernel fit predict set_fit_request set_score_request
sklearn.linear_model._base.LinearClassifierMixin < sklearn.base.ClassifierMixin: _predict_proba_lr
  decision_function predict
sklearn.linear_model._base.LinearModel < sklearn.base.BaseEstimator: _decision_function _set_intercept fit
  predict
sklearn.linear_model._base.LinearRegression < sklearn.base.RegressorMixin
  sklearn.linear_model._base.MultiOutputLinearModel: fit set_fit_request set_score_request
sklearn.linear_model._base.MultiOutputLinearModel < sklearn.base.MultiOutputMixin
  sklearn.linear_model._base.LinearModel: predict
sklearn.linear_model._base.SparseCoefMixin: densify sparsify
sklearn.linear_model._bayes.ARDRegression < sklearn.base.RegressorMixin
  sklearn.linear_model._base.LinearModel: _update_sigma _update_sigma_woodbury fit predict
  set_predict_request set_score_request
sklearn.linear_model._bayes.BayesianRidge < sklearn.base.RegressorMixin
  sklearn.linear_model._base.LinearModel: _log_marginal_likelihood _update_coef_ fit predict set_fit_request
  set_predict_request set_score_request
sklearn.linear_model._coordinate_descent.ElasticNet < sklearn.base.RegressorMixin
  sklearn.linear_model._base.MultiOutputLinearModel: _decision_function fit path set_fit_request
  set_score_request
sklearn.linear_model._coordinate_descent.ElasticNetCV < sklearn.base.RegressorMixin
  sklearn.linear_model._coordinate_descent.LinearModelCV: _get_estimator _is_multitask fit path
  set_fit_request set_score_request
sklearn.linear_model._coordinate_descent.Lasso < sklearn.linear_model._coordinate_descent.ElasticNet: path
  set_fit_request set_score_request
sklearn.linear_model._coordinate_descent.LassoCV < sklearn.base.RegressorMixin
  sklearn.linear_model._coordinate_descent.LinearModelCV: _get_estimator _is_multitask fit path
  set_fit_request set_score_request
sklearn.linear_model._coordinate_descent.LinearModelCV < sklearn.linear_model._base.MultiOutputLinearModel
  abc.ABC: _get_estimator _is_multitask fit get_metadata_routing path set_fit_request
sklearn.linear_model._coordinate_descent.MultiTaskElasticNet <
  sklearn.linear_model._coordinate_descent.ElasticNet: fit
sklearn.linear_model._coordinate_descent.MultiTaskElasticNetCV < sklearn.base.RegressorMixin
  sklearn.linear_model._coordinate_descent.LinearModelCV: _get_estimator _is_multitask path set_fit_request
  set_score_request
sklearn.linear_model._coordinate_descent.MultiTaskLasso <
  sklearn.linear_model._coordinate_descent.MultiTaskElasticNet:
sklearn.linear_model._coordinate_descent.MultiTaskLassoCV < sklearn.base.RegressorMixin
  sklearn.linear_model._coordinate_descent.LinearModelCV: _get_estimator _is_multitask path set_fit_request
  set_score_request
sklearn.linear_model._glm.glm.GammaRegressor < sklearn.linear_model._glm.glm._GeneralizedLinearRegressor:
  _get_loss set_fit_request set_score_request
sklearn.linear_model._glm.glm.PoissonRegressor < sklearn.linear_model._glm.glm._GeneralizedLinearRegressor:
  _get_loss set_fit_request set_score_request
sklearn.linear_model._glm.glm.TweedieRegressor < sklearn.linear_model._glm.glm._GeneralizedLinearRegressor:
  _get_loss set_fit_request set_score_request
sklearn.linear_model._glm.glm._GeneralizedLinearRegressor < sklearn.base.RegressorMixin
  sklearn.base.BaseEstimator: _get_loss _linear_predictor fit predict score set_fit_request set_score_request
sklearn.linear_model._huber.HuberRegressor < sklearn.linear_model._base.LinearModel
  sklearn.base.RegressorMixin sklearn.base.BaseEstimator: fit set_fit_request set_score_request
sklearn.linear_model._least_angle.Lars < sklearn.base.RegressorMixin
  sklearn.linear_model._base.MultiOutputLinearModel: _fit _get_gram fit set_fit_request set_score_request
sklearn.linear_model._least_angle.LarsCV < sklearn.linear_model._least_angle.Lars: fit get_metadata_routing
  set_fit_request set_score_request
sklearn.linear_model._least_angle.LassoLars < sklearn.linear_model._least_angle.Lars: set_fit_request
  set_score_request
sklearn.linear_model._least_angle.LassoLarsCV < sklearn.linear_model._least_angle.LarsCV: set_fit_request
  set_score_request
sklearn.linear_model._least_angle.LassoLarsIC < sklearn.linear_model._least_angle.LassoLars:
  _estimate_noise_variance fit set_fit_request set_score_request
sklearn.linear_model._logistic.LogisticRegression < sklearn.callback._callback_support.CallbackSupportMixin
  sklearn.linear_model._base.LinearClassifierMixin sklearn.linear_model._base.SparseCoefMixin
  sklearn.base.BaseEstimator: fit predict_log_proba predict_proba set_callbacks set_fit_request
  set_score_request
sklearn.linear_model._logistic.LogisticRegressionCV < sklearn.linear_model._logistic.LogisticRegression
  sklearn.linear_model._base.LinearClassifierMixin sklearn.base.BaseEstimator: _get_scorer fit
  get_metadata_routing score set_fit_request set_score_request
sklearn.linear_model._omp.OrthogonalMatchingPursuit < sklearn.base.RegressorMixin
  sklearn.linear_model._base.MultiOutputLinearModel: fit set_score_request
sklearn.linear_model._omp.OrthogonalMatchingPursuitCV < sklearn.base.RegressorMixin
  sklearn.linear_model._base.LinearModel: fit get_metadata_routing set_score_request
sklearn.linear_model._passive_aggressive.PassiveAggressiveClassifier <
  sklearn.linear_model._stochastic_gradient.BaseSGDClassifier: fit partial_fit set_fit_request
  set_partial_fit_request set_score_request
sklearn.linear_model._passive_aggressive.PassiveAggressiveRegressor <
  sklearn.linear_model._stochastic_gradient.BaseSGDRegressor: fit partial_fit set_fit_request
  set_partial_fit_request set_score_request
sklearn.linear_model._perceptron.Perceptron < sklearn.linear_model._stochastic_gradient.BaseSGDClassifier:
  set_fit_request set_partial_fit_request set_score_request
sklearn.linear_model._quantile.QuantileRegressor < sklearn.linear_model._base.LinearModel
  sklearn.base.RegressorMixin sklearn.base.BaseEstimator: fit set_fit_request set_score_request
sklearn.linear_model._ransac.RANSACRegressor < sklearn.base.MetaEstimatorMixin sklearn.base.RegressorMixin
  sklearn.base.MultiOutputMixin sklearn.base.BaseEstimator: fit get_metadata_routing predict score
  set_fit_request
sklearn.linear_model._ridge.Ridge < sklearn.base.MultiOutputMixin sklearn.base.RegressorMixin
  sklearn.linear_model._ridge._BaseRidge: fit predict set_fit_request set_score_request
sklearn.linear_model._ridge.RidgeCV < sklearn.base.MultiOutputMixin sklearn.base.RegressorMixin
  sklearn.linear_model._ridge._BaseRidgeCV: _get_scorer_instance fit predict set_fit_request
  set_score_request
sklearn.linear_model._ridge.RidgeClassifier < sklearn.linear_model._ridge._RidgeClassifierMixin
  sklearn.linear_model._ridge._BaseRidge: fit set_fit_request set_score_request
sklearn.linear_model._ridge.RidgeClassifierCV < sklearn.linear_model._ridge._RidgeClassifierMixin
  sklearn.linear_model._ridge._BaseRidgeCV: fit set_fit_request set_score_request
sklearn.linear_model._ridge._BaseRidge < sklearn.linear_model._base.LinearModel: fit set_fit_request
sklearn.linear_model._ridge._BaseRidgeCV < sklearn.linear_model._base.LinearModel: _get_scorer fit
  get_metadata_routing set_fit_request
sklearn.linear_model._ridge._RidgeClassifierMixin < sklearn.linear_model._base.LinearClassifierMixin:
  _get_scorer_instance _prepare_data predict
sklearn.linear_model._stochastic_gradient.BaseSGD < sklearn.linear_model._base.SparseCoefMixin
  sklearn.base.BaseEstimator: _allocate_parameter_mem _get_l1_ratio _get_learning_rate_type
  _get_loss_function _get_penalty_type _make_validation_score_cb _make_validation_split _more_validate_params
  fit
sklearn.linear_model._stochastic_gradient.BaseSGDClassifier <
  sklearn.linear_model._base.LinearClassifierMixin sklearn.linear_model._stochastic_gradient.BaseSGD: _fit
  _fit_binary _fit_multiclass _partial_fit fit partial_fit set_fit_request set_partial_fit_request
  set_score_request
sklearn.linear_model._stochastic_gradient.BaseSGDRegressor < sklearn.base.RegressorMixin
  sklearn.linear_model._stochastic_gradient.BaseSGD: _decision_function _fit _fit_regressor _partial_fit fit
  partial_fit predict set_fit_request set_partial_fit_request set_score_request
sklearn.linear_model._stochastic_gradient.SGDClassifier <
  sklearn.linear_model._stochastic_gradient.BaseSGDClassifier: _check_proba predict_log_proba predict_proba
  set_fit_request set_partial_fit_request set_score_request
sklearn.linear_model._stochastic_gradient.SGDOneClassSVM < sklearn.base.OutlierMixin
  sklearn.linear_model._stochastic_gradient.BaseSGD: _fit _fit_one_class _partial_fit decision_function fit
  partial_fit predict score_samples set_fit_request set_partial_fit_request
sklearn.linear_model._stochastic_gradient.SGDRegressor <
  sklearn.linear_model._stochastic_gradient.BaseSGDRegressor: set_fit_request set_partial_fit_request
  set_score_request
sklearn.linear_model._theil_sen.TheilSenRegressor < sklearn.base.RegressorMixin
  sklearn.linear_model._base.LinearModel: _check_subparams fit set_score_request
sklearn.manifold._classical_mds.ClassicalMDS < sklearn.base.BaseEstimator: fit fit_transform
sklearn.manifold._isomap.Isomap < sklearn.base.ClassNamePrefixFeaturesOutMixin sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: _fit_transform fit fit_transform reconstruction_error transform
sklearn.manifold._locally_linear.LocallyLinearEmbedding < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base._UnstableArchMixin sklearn.base.BaseEstimator: _fit_transform
  fit fit_transform transform
sklearn.manifold._mds.MDS < sklearn.base.BaseEstimator: fit fit_transform set_fit_request
sklearn.manifold._spectral_embedding.SpectralEmbedding < sklearn.base.BaseEstimator: _get_affinity_matrix fit
  fit_transform
sklearn.manifold._t_sne.TSNE < sklearn.base.ClassNamePrefixFeaturesOutMixin sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: _check_params_vs_input _fit _tsne fit fit_transform
sklearn.metrics._scorer._BaseScorer < sklearn.utils._metadata_requests._MetadataRequester:
  _accept_sample_weight _get_metadata_request _get_pos_label _routing_repr _warn_overlap set_score_request
sklearn.metrics._scorer._CurveScorer < sklearn.metrics._scorer._BaseScorer: _score from_scorer
sklearn.metrics._scorer._PassthroughScorer < sklearn.utils._metadata_requests._MetadataRequester:
  _accept_sample_weight _routing_repr get_metadata_routing
sklearn.metrics._scorer._Scorer < sklearn.metrics._scorer._BaseScorer: _score
sklearn.mixture._base.BaseMixture < sklearn.base.DensityMixin sklearn.base.BaseEstimator: _check_parameters
  _e_step _estimate_log_prob _estimate_log_prob_resp _estimate_log_weights _estimate_weighted_log_prob
  _get_parameters _initialize _initialize_parameters _m_step _print_verbose_msg_init_beg
  _print_verbose_msg_init_end _print_verbose_msg_iter_end _set_parameters fit fit_predict predict
  predict_proba sample score score_samples
sklearn.mixture._bayesian_mixture.BayesianGaussianMixture < sklearn.mixture._base.BaseMixture:
  _check_means_parameters _check_parameters _check_precision_parameters _check_weights_parameters
  _checkcovariance_prior_parameter _compute_lower_bound _estimate_log_prob _estimate_log_weights
  _estimate_means _estimate_precisions _estimate_weights _estimate_wishart_diag _estimate_wishart_full
  _estimate_wishart_spherical _estimate_wishart_tied _get_parameters _initialize _m_step _set_parameters
sklearn.mixture._gaussian_mixture.GaussianMixture < sklearn.mixture._base.BaseMixture: _check_parameters
  _compute_lower_bound _estimate_log_prob _estimate_log_weights _get_parameters _initialize
  _initialize_parameters _m_step _n_parameters _set_parameters aic bic
sklearn.model_selection._classification_threshold.BaseThresholdClassifier < sklearn.base.ClassifierMixin
  sklearn.base.MetaEstimatorMixin sklearn.base.BaseEstimator: _get_response_method decision_function fit
  predict_log_proba predict_proba set_score_request
sklearn.model_selection._classification_threshold.FixedThresholdClassifier <
  sklearn.model_selection._classification_threshold.BaseThresholdClassifier: _fit get_metadata_routing
  predict set_score_request
sklearn.model_selection._classification_threshold.TunedThresholdClassifierCV <
  sklearn.model_selection._classification_threshold.BaseThresholdClassifier: _fit _get_curve_scorer
  _sk_visual_block_ get_metadata_routing predict set_score_request
sklearn.model_selection._classification_threshold._CurveScorer < sklearn.metrics._scorer._BaseScorer: _score
  from_scorer
sklearn.model_selection._search.BaseSearchCV < sklearn.base.MetaEstimatorMixin
  sklearn.callback._callback_support.CallbackSupportMixin sklearn.base.BaseEstimator: _check_input_parameters
  _check_refit_for_multimetric _check_scorers_accept_sample_weight _format_results _get_routed_params_for_fit
  _get_scorers _run_search _select_best_index _sk_visual_block_ _wrap_namespace_error decision_function fit
  get_metadata_routing inverse_transform predict predict_log_proba predict_proba score score_samples
  transform
sklearn.model_selection._search.GridSearchCV < sklearn.model_selection._search.BaseSearchCV: _run_search
sklearn.model_selection._search.RandomizedSearchCV < sklearn.model_selection._search.BaseSearchCV:
  _run_search
sklearn.model_selection._search_successive_halving.BaseSuccessiveHalving <
  sklearn.model_selection._search.BaseSearchCV: _check_input_parameters _generate_candidate_params
  _run_search _select_best_index fit
sklearn.model_selection._search_successive_halving.HalvingGridSearchCV <
  sklearn.model_selection._search_successive_halving.BaseSuccessiveHalving: _generate_candidate_params
sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV <
  sklearn.model_selection._search_successive_halving.BaseSuccessiveHalving: _generate_candidate_params
sklearn.model_selection._split.BaseCrossValidator < sklearn.utils._metadata_requests._MetadataRequester:
  _iter_test_indices _iter_test_masks get_n_splits split
sklearn.model_selection._split.BaseShuffleSplit < sklearn.utils._metadata_requests._MetadataRequester:
  _iter_indices get_n_splits split
sklearn.model_selection._split.GroupKFold < sklearn.model_selection._split.GroupsConsumerMixin
  sklearn.model_selection._split._BaseKFold: _iter_test_indices set_split_request split
sklearn.model_selection._split.GroupShuffleSplit < sklearn.model_selection._split.GroupsConsumerMixin
  sklearn.model_selection._split.BaseShuffleSplit: _iter_indices set_split_request split
sklearn.model_selection._split.GroupsConsumerMixin < sklearn.utils._metadata_requests._MetadataRequester:
sklearn.model_selection._split.KFold < sklearn.model_selection._split._UnsupportedGroupCVMixin
  sklearn.model_selection._split._BaseKFold: _iter_test_indices
sklearn.model_selection._split.LeaveOneGroupOut < sklearn.model_selection._split.GroupsConsumerMixin
  sklearn.model_selection._split.BaseCrossValidator: _iter_test_masks get_n_splits set_split_request split
sklearn.model_selection._split.LeaveOneOut < sklearn.model_selection._split._UnsupportedGroupCVMixin
  sklearn.model_selection._split.BaseCrossValidator: _iter_test_indices get_n_splits
sklearn.model_selection._split.LeavePOut < sklearn.model_selection._split._UnsupportedGroupCVMixin
  sklearn.model_selection._split.BaseCrossValidator: _iter_test_indices get_n_splits
sklearn.model_selection._split.PredefinedSplit < sklearn.model_selection._split.BaseCrossValidator:
  _iter_test_masks _split get_n_splits split
sklearn.model_selection._split.RepeatedKFold < sklearn.model_selection._split._UnsupportedGroupCVMixin
  sklearn.model_selection._split._RepeatedSplits:
sklearn.model_selection._split.RepeatedStratifiedKFold <
  sklearn.model_selection._split._UnsupportedGroupCVMixin sklearn.model_selection._split._RepeatedSplits:
  split
sklearn.model_selection._split.ShuffleSplit < sklearn.model_selection._split._UnsupportedGroupCVMixin
  sklearn.model_selection._split.BaseShuffleSplit:
sklearn.model_selection._split.StratifiedGroupKFold < sklearn.model_selection._split.GroupsConsumerMixin
  sklearn.model_selection._split._BaseKFold: _find_best_fold _iter_test_indices set_split_request
sklearn.model_selection._split.StratifiedKFold < sklearn.model_selection._split._BaseKFold: _iter_test_masks
  _make_test_folds split
sklearn.model_selection._split.StratifiedShuffleSplit < sklearn.model_selection._split.BaseShuffleSplit:
  _iter_indices split
sklearn.model_selection._split.TimeSeriesSplit < sklearn.model_selection._split._BaseKFold: _split split
sklearn.model_selection._split._BaseKFold < sklearn.model_selection._split.BaseCrossValidator: get_n_splits
  split
sklearn.model_selection._split._RepeatedSplits < sklearn.utils._metadata_requests._MetadataRequester:
  get_n_splits split
sklearn.model_selection._split._UnsupportedGroupCVMixin: split
sklearn.multiclass.OneVsOneClassifier < sklearn.base.MetaEstimatorMixin sklearn.base.ClassifierMixin
  sklearn.base.BaseEstimator: decision_function fit get_metadata_routing partial_fit predict
  set_partial_fit_request set_score_request
sklearn.multiclass.OneVsRestClassifier < sklearn.base.MultiOutputMixin sklearn.base.ClassifierMixin
  sklearn.base.MetaEstimatorMixin sklearn.base.BaseEstimator: decision_function fit get_metadata_routing
  partial_fit predict predict_proba set_partial_fit_request set_score_request
sklearn.multiclass.OutputCodeClassifier < sklearn.base.MetaEstimatorMixin sklearn.base.ClassifierMixin
  sklearn.base.BaseEstimator: fit get_metadata_routing predict set_score_request
sklearn.multiclass._ConstantPredictor < sklearn.base.BaseEstimator: decision_function fit predict
  predict_proba
sklearn.multioutput.ClassifierChain < sklearn.base.MetaEstimatorMixin sklearn.base.ClassifierMixin
  sklearn.multioutput._BaseChain: decision_function fit get_metadata_routing predict_log_proba predict_proba
  set_score_request
sklearn.multioutput.MultiOutputClassifier < sklearn.base.ClassifierMixin
  sklearn.multioutput._MultiOutputEstimator: _check_predict_proba fit predict_proba score set_fit_request
  set_partial_fit_request
sklearn.multioutput.MultiOutputRegressor < sklearn.base.RegressorMixin
  sklearn.multioutput._MultiOutputEstimator: partial_fit set_fit_request set_partial_fit_request
  set_score_request
sklearn.multioutput.RegressorChain < sklearn.base.MetaEstimatorMixin sklearn.base.RegressorMixin
  sklearn.multioutput._BaseChain: fit get_metadata_routing set_score_request
sklearn.multioutput._BaseChain < sklearn.base.BaseEstimator: _get_predictions _log_message fit predict
sklearn.multioutput._MultiOutputEstimator < sklearn.base.MetaEstimatorMixin sklearn.base.BaseEstimator: fit
  get_metadata_routing partial_fit predict set_fit_request set_partial_fit_request
sklearn.naive_bayes.BernoulliNB < sklearn.naive_bayes._BaseDiscreteNB: _check_X _check_X_y _count
  _joint_log_likelihood _update_feature_log_prob set_fit_request set_partial_fit_request set_score_request
sklearn.naive_bayes.CategoricalNB < sklearn.naive_bayes._BaseDiscreteNB: _check_X _check_X_y _count
  _init_counters _joint_log_likelihood _update_feature_log_prob _validate_n_categories fit partial_fit
  set_fit_request set_partial_fit_request set_score_request
sklearn.naive_bayes.ComplementNB < sklearn.naive_bayes._BaseDiscreteNB: _count _joint_log_likelihood
  _update_feature_log_prob set_fit_request set_partial_fit_request set_score_request
sklearn.naive_bayes.GaussianNB < sklearn.naive_bayes._BaseNB: _check_X _joint_log_likelihood _partial_fit
  _update_mean_variance fit partial_fit set_fit_request set_partial_fit_request set_score_request
sklearn.naive_bayes.MultinomialNB < sklearn.naive_bayes._BaseDiscreteNB: _count _joint_log_likelihood
  _update_feature_log_prob set_fit_request set_partial_fit_request set_score_request
sklearn.naive_bayes._BaseDiscreteNB < sklearn.naive_bayes._BaseNB: _check_X _check_X_y _check_alpha _count
  _init_counters _update_class_log_prior _update_feature_log_prob fit partial_fit set_fit_request
  set_partial_fit_request set_score_request
sklearn.naive_bayes._BaseNB < sklearn.base.ClassifierMixin sklearn.base.BaseEstimator: _check_X
  _joint_log_likelihood predict predict_joint_log_proba predict_log_proba predict_proba set_score_request
sklearn.neighbors._base.KNeighborsMixin: _kneighbors_reduce_func kneighbors kneighbors_graph
sklearn.neighbors._base.NeighborsBase < sklearn.base.MultiOutputMixin sklearn.base.BaseEstimator:
  _check_algorithm_metric _fit
sklearn.neighbors._base.RadiusNeighborsMixin: _radius_neighbors_reduce_func radius_neighbors
  radius_neighbors_graph
sklearn.neighbors._classification.KNeighborsClassifier < sklearn.neighbors._base.KNeighborsMixin
  sklearn.base.ClassifierMixin sklearn.neighbors._base.NeighborsBase: fit predict predict_proba score
  set_score_request
sklearn.neighbors._classification.RadiusNeighborsClassifier < sklearn.neighbors._base.RadiusNeighborsMixin
  sklearn.base.ClassifierMixin sklearn.neighbors._base.NeighborsBase: fit predict predict_proba score
  set_score_request
sklearn.neighbors._graph.KNeighborsTransformer < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.neighbors._base.KNeighborsMixin sklearn.base.TransformerMixin
  sklearn.neighbors._base.NeighborsBase: fit fit_transform transform
sklearn.neighbors._graph.RadiusNeighborsTransformer < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.neighbors._base.RadiusNeighborsMixin sklearn.base.TransformerMixin
  sklearn.neighbors._base.NeighborsBase: fit fit_transform transform
sklearn.neighbors._kde.KernelDensity < sklearn.base.BaseEstimator: _choose_algorithm fit sample score
  score_samples set_fit_request
sklearn.neighbors._lof.LocalOutlierFactor < sklearn.neighbors._base.KNeighborsMixin sklearn.base.OutlierMixin
  sklearn.neighbors._base.NeighborsBase: _check_novelty_decision_function _check_novelty_fit_predict
  _check_novelty_predict _check_novelty_score_samples _local_reachability_density _predict decision_function
  fit fit_predict predict score_samples
sklearn.neighbors._nca.NeighborhoodComponentsAnalysis < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _callback _initialize _loss_grad_lbfgs fit
  transform
sklearn.neighbors._nearest_centroid.NearestCentroid <
  sklearn.discriminant_analysis.DiscriminantAnalysisPredictionMixin sklearn.base.ClassifierMixin
  sklearn.base.BaseEstimator: _check_euclidean_metric _decision_function decision_function fit predict
  predict_log_proba predict_proba set_score_request
sklearn.neighbors._regression.KNeighborsRegressor < sklearn.neighbors._base.KNeighborsMixin
  sklearn.base.RegressorMixin sklearn.neighbors._base.NeighborsBase: fit predict set_score_request
sklearn.neighbors._regression.RadiusNeighborsRegressor < sklearn.neighbors._base.RadiusNeighborsMixin
  sklearn.base.RegressorMixin sklearn.neighbors._base.NeighborsBase: fit predict set_score_request
sklearn.neighbors._unsupervised.NearestNeighbors < sklearn.neighbors._base.KNeighborsMixin
  sklearn.neighbors._base.RadiusNeighborsMixin sklearn.neighbors._base.NeighborsBase: fit
sklearn.neural_network._multilayer_perceptron.BaseMultilayerPerceptron < sklearn.base.BaseEstimator abc.ABC:
  _backprop _check_solver _compute_loss_grad _fit _fit_lbfgs _fit_stochastic _forward_pass _forward_pass_fast
  _init_coef _initialize _loss_grad_lbfgs _score_with_function _unpack _update_no_improvement_count fit
  set_fit_request
sklearn.neural_network._multilayer_perceptron.MLPClassifier < sklearn.base.ClassifierMixin
  sklearn.neural_network._multilayer_perceptron.BaseMultilayerPerceptron: _predict _score _validate_input
  partial_fit predict predict_log_proba predict_proba set_fit_request set_partial_fit_request
  set_score_request
sklearn.neural_network._multilayer_perceptron.MLPRegressor < sklearn.base.RegressorMixin
  sklearn.neural_network._multilayer_perceptron.BaseMultilayerPerceptron: _predict _score _validate_input
  partial_fit predict set_fit_request set_partial_fit_request set_score_request
sklearn.neural_network._rbm.BernoulliRBM < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _fit _free_energy _mean_hiddens _sample_hiddens
  _sample_visibles fit gibbs partial_fit score_samples transform
sklearn.neural_network._stochastic_optimizers.AdamOptimizer <
  sklearn.neural_network._stochastic_optimizers.BaseOptimizer: _get_updates
sklearn.neural_network._stochastic_optimizers.BaseOptimizer: iteration_ends trigger_stopping update_params
sklearn.pipeline.FeatureUnion < sklearn.base.TransformerMixin sklearn.utils.metaestimators._BaseComposition:
  _add_prefix_for_feature_names_out _hstack _iter _log_message _parallel_func _sk_visual_block_
  _update_transformer_list _validate_transformer_weights _validate_transformers fit fit_transform
  get_feature_names_out get_metadata_routing get_params set_output set_params transform
sklearn.pipeline.Pipeline < sklearn.callback._callback_support.CallbackSupportMixin
  sklearn.utils.metaestimators._BaseComposition: _can_fit_transform _can_inverse_transform _can_transform
  _check_method_params _fit _get_metadata_for_step _iter _log_message _sk_visual_block_ _validate_steps
  decision_function fit fit_predict fit_transform get_feature_names_out get_metadata_routing get_params
  inverse_transform predict predict_log_proba predict_proba score score_samples set_output set_params
  set_score_request transform
sklearn.preprocessing._data.Binarizer < sklearn.base.OneToOneFeatureMixin sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: fit set_transform_request transform
sklearn.preprocessing._data.KernelCenterer < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: fit set_transform_request transform
sklearn.preprocessing._data.MaxAbsScaler < sklearn.base.OneToOneFeatureMixin sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: _reset fit inverse_transform partial_fit transform
sklearn.preprocessing._data.MinMaxScaler < sklearn.base.OneToOneFeatureMixin sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: _reset fit inverse_transform partial_fit transform
sklearn.preprocessing._data.Normalizer < sklearn.base.OneToOneFeatureMixin sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: fit set_transform_request transform
sklearn.preprocessing._data.PowerTransformer < sklearn.base.OneToOneFeatureMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _box_cox_optimize _check_input _fit
  _yeo_johnson_inverse_transform _yeo_johnson_optimize fit fit_transform inverse_transform transform
sklearn.preprocessing._data.QuantileTransformer < sklearn.base.OneToOneFeatureMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _check_inputs _dense_fit _sparse_fit _transform
  _transform_col fit inverse_transform transform
sklearn.preprocessing._data.RobustScaler < sklearn.base.OneToOneFeatureMixin sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: fit inverse_transform transform
sklearn.preprocessing._data.StandardScaler < sklearn.callback._callback_support.CallbackSupportMixin
  sklearn.base.OneToOneFeatureMixin sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _reset fit
  inverse_transform partial_fit set_fit_request set_inverse_transform_request set_partial_fit_request
  set_transform_request transform
sklearn.preprocessing._discretization.KBinsDiscretizer < sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: _validate_n_bins fit get_feature_names_out inverse_transform set_fit_request
  transform
sklearn.preprocessing._encoders.OneHotEncoder < sklearn.preprocessing._encoders._BaseEncoder:
  _check_get_feature_name_combiner _compute_n_features_outs _compute_transformed_categories
  _map_drop_idx_to_infrequent _remove_dropped_categories _set_drop_idx fit get_feature_names_out
  inverse_transform transform
sklearn.preprocessing._encoders.OrdinalEncoder < sklearn.base.OneToOneFeatureMixin
  sklearn.preprocessing._encoders._BaseEncoder: fit inverse_transform transform
sklearn.preprocessing._encoders._BaseEncoder < sklearn.base.TransformerMixin sklearn.base.BaseEstimator:
  _check_X _check_infrequent_enabled _fit _fit_infrequent_category_mapping _identify_infrequent
  _map_infrequent_categories _transform
sklearn.preprocessing._function_transformer.FunctionTransformer < sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: _check_inverse_transform _get_function_name _sk_visual_block_ _transform fit
  get_feature_names_out inverse_transform set_output transform
sklearn.preprocessing._label.LabelBinarizer < sklearn.base.TransformerMixin sklearn.base.BaseEstimator: fit
  fit_transform inverse_transform set_inverse_transform_request transform
sklearn.preprocessing._label.LabelEncoder < sklearn.base.TransformerMixin sklearn.base.BaseEstimator: fit
  fit_transform inverse_transform transform
sklearn.preprocessing._label.MultiLabelBinarizer < sklearn.base.TransformerMixin sklearn.base.BaseEstimator:
  _build_cache _transform fit fit_transform inverse_transform transform
sklearn.preprocessing._polynomial.PolynomialFeatures < sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: _combinations _num_combinations fit get_feature_names_out transform
sklearn.preprocessing._polynomial.SplineTransformer < sklearn.base.TransformerMixin
  sklearn.base.BaseEstimator: _get_base_knot_positions fit get_feature_names_out set_fit_request transform
sklearn.preprocessing._target_encoder.TargetEncoder < sklearn.base.OneToOneFeatureMixin
  sklearn.preprocessing._encoders._BaseEncoder: _fit_encoding_binary_or_continuous _fit_encoding_multiclass
  _fit_encodings_all _transform_X_ordinal fit fit_transform get_feature_names_out get_metadata_routing
  transform
sklearn.random_projection.BaseRandomProjection < sklearn.base.ClassNamePrefixFeaturesOutMixin
  sklearn.base.TransformerMixin sklearn.base.BaseEstimator: _compute_inverse_components _make_random_matrix
  fit inverse_transform
sklearn.random_projection.GaussianRandomProjection < sklearn.random_projection.BaseRandomProjection:
  _make_random_matrix transform
sklearn.random_projection.SparseRandomProjection < sklearn.random_projection.BaseRandomProjection:
  _make_random_matrix transform
sklearn.semi_supervised._label_propagation.BaseLabelPropagation < sklearn.base.ClassifierMixin
  sklearn.base.BaseEstimator: _build_graph _get_kernel fit predict predict_proba set_score_request
sklearn.semi_supervised._label_propagation.LabelPropagation <
  sklearn.semi_supervised._label_propagation.BaseLabelPropagation: _build_graph fit set_score_request
sklearn.semi_supervised._label_propagation.LabelSpreading <
  sklearn.semi_supervised._label_propagation.BaseLabelPropagation: _build_graph set_score_request
sklearn.semi_supervised._self_training.SelfTrainingClassifier < sklearn.base.ClassifierMixin
  sklearn.base.MetaEstimatorMixin sklearn.base.BaseEstimator: _get_estimator decision_function fit
  get_metadata_routing predict predict_log_proba predict_proba score
sklearn.svm._base.BaseLibSVM < sklearn.base.BaseEstimator: _compute_kernel _decision_function
  _dense_decision_function _dense_fit _dense_predict _get_coef _sparse_decision_function _sparse_fit
  _sparse_predict _validate_for_predict _validate_targets _warn_from_fit_status fit predict set_fit_request
sklearn.svm._base.BaseSVC < sklearn.base.ClassifierMixin sklearn.svm._base.BaseLibSVM: _check_proba
  _dense_predict_proba _get_coef _sparse_predict_proba _validate_targets decision_function predict
  predict_log_proba predict_proba set_fit_request set_score_request
sklearn.svm._classes.LinearSVC < sklearn.linear_model._base.LinearClassifierMixin
  sklearn.linear_model._base.SparseCoefMixin sklearn.base.BaseEstimator: fit set_fit_request
  set_score_request
sklearn.svm._classes.LinearSVR < sklearn.base.RegressorMixin sklearn.linear_model._base.LinearModel: fit
  set_fit_request set_score_request
sklearn.svm._classes.NuSVC < sklearn.svm._base.BaseSVC: set_fit_request set_score_request
sklearn.svm._classes.NuSVR < sklearn.base.RegressorMixin sklearn.svm._base.BaseLibSVM: set_fit_request
  set_score_request
sklearn.svm._classes.OneClassSVM < sklearn.base.OutlierMixin sklearn.svm._base.BaseLibSVM: decision_function
  fit predict score_samples set_fit_request
sklearn.svm._classes.SVC < sklearn.svm._base.BaseSVC: set_fit_request set_score_request
sklearn.svm._classes.SVR < sklearn.base.RegressorMixin sklearn.svm._base.BaseLibSVM: set_fit_request
  set_score_request
sklearn.tree._classes.BaseDecisionTree < sklearn.base.MultiOutputMixin sklearn.base.BaseEstimator:
  _compute_missing_values_in_feature_mask _fit _prune_tree _support_missing_values _validate_X_predict apply
  cost_complexity_pruning_path decision_path get_depth get_n_leaves predict
sklearn.tree._classes.DecisionTreeClassifier < sklearn.base.ClassifierMixin
  sklearn.tree._classes.BaseDecisionTree: fit predict_log_proba predict_proba set_fit_request
  set_score_request
sklearn.tree._classes.DecisionTreeRegressor < sklearn.base.RegressorMixin
  sklearn.tree._classes.BaseDecisionTree: _compute_partial_dependence_recursion fit set_fit_request
  set_score_request
sklearn.tree._classes.ExtraTreeClassifier < sklearn.tree._classes.DecisionTreeClassifier: set_fit_request
  set_score_request
sklearn.tree._classes.ExtraTreeRegressor < sklearn.tree._classes.DecisionTreeRegressor: set_fit_request
  set_score_request
sklearn.utils._bunch.Bunch < builtins.dict: _set_deprecated
sklearn.utils._metadata_requests.MetadataRequest: _check_warnings _get_param_names _route_params _serialize
  consumes
sklearn.utils._metadata_requests.MethodMetadataRequest: _check_warnings _consumes _get_param_names
  _route_params _serialize add_request
sklearn.utils._metadata_requests._MetadataRequester: _get_class_level_metadata_request_values
  _get_metadata_request get_metadata_routing
sklearn.utils._metadata_requests._RoutingNotSupportedMixin: get_metadata_routing
sklearn.utils._repr_html.base.ReprHTMLMixin: _repr_html_inner _repr_mimebundle_
sklearn.utils._repr_html.base._HTMLDocumentationLinkMixin: _get_doc_link
sklearn.utils._set_output._SetOutputMixin: set_output
sklearn.utils.metaestimators._BaseComposition < sklearn.base.BaseEstimator: _check_estimators_are_instances
  _get_params _replace_estimator _set_params _validate_names
xgboost.core.Booster: _assign_dmatrix_features _configure_constraints _get_feature_info _set_feature_info
  _transform_interaction_constraints _transform_monotone_constrains _validate_features attr attributes boost
  copy dump_model eval eval_set get_categories get_dump get_fscore get_score get_split_value_histogram
  inplace_predict load_config load_model num_boosted_rounds num_features predict reset save_config save_model
  save_raw set_attr set_param trees_to_dataframe update
xgboost.sklearn.XGBClassifier < sklearn.base.ClassifierMixin xgboost.sklearn.XGBModel: _more_tags fit predict
  predict_proba set_fit_request set_predict_proba_request set_predict_request set_score_request
xgboost.sklearn.XGBModel < sklearn.base.BaseEstimator: _can_use_inplace_predict _configure_fit
  _create_dmatrix _get_iteration_range _get_type _load_model_attributes _more_tags _set_evaluation_result
  _update_sklearn_tags_from_dict _wrapper_params apply evals_result fit get_booster get_num_boosting_rounds
  get_params get_xgb_params load_model predict save_model set_fit_request set_params set_predict_request
xgboost.sklearn.XGBRFClassifier < xgboost.sklearn.XGBClassifier: fit get_num_boosting_rounds get_xgb_params
  set_fit_request set_predict_proba_request set_predict_request set_score_request
xgboost.sklearn.XGBRFRegressor < xgboost.sklearn.XGBRegressor: fit get_num_boosting_rounds get_xgb_params
  set_fit_request set_predict_request set_score_request
xgboost.sklearn.XGBRanker < xgboost.sklearn.XGBRankerMixIn xgboost.sklearn.XGBModel: _create_ltr_dmatrix
  apply fit predict score set_fit_request set_predict_request
xgboost.sklearn.XGBRankerMixIn:
xgboost.sklearn.XGBRegressor < sklearn.base.RegressorMixin xgboost.sklearn.XGBModel: _more_tags
  set_fit_request set_predict_request set_score_request
"""
