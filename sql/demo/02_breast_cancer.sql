-- A classifier over columns: scikit-learn's logistic regression as ONNX. Its inputs and outputs are read from the file.
CREATE MODEL breast_cancer FROM 'tests/data/demo/breast_cancer.onnx';

-- Score the half of the rows that it has never seen; the fields of the STRUCT are matched with its inputs by name.
CREATE TABLE demo.cancer_predictions AS
SELECT id, diagnosis, (score).label AS predicted, (score).probabilities[2] AS malignant
FROM (
    SELECT id, diagnosis, ai_query('breast_cancer', named_struct(
        'mean_radius', mean_radius, 'mean_texture', mean_texture, 'mean_perimeter', mean_perimeter,
        'mean_area', mean_area, 'mean_smoothness', mean_smoothness, 'mean_compactness', mean_compactness,
        'mean_concavity', mean_concavity, 'mean_concave_points', mean_concave_points,
        'mean_symmetry', mean_symmetry, 'mean_fractal_dimension', mean_fractal_dimension,
        'radius_error', radius_error, 'texture_error', texture_error, 'perimeter_error', perimeter_error,
        'area_error', area_error, 'smoothness_error', smoothness_error, 'compactness_error', compactness_error,
        'concavity_error', concavity_error, 'concave_points_error', concave_points_error,
        'symmetry_error', symmetry_error, 'fractal_dimension_error', fractal_dimension_error,
        'worst_radius', worst_radius, 'worst_texture', worst_texture, 'worst_perimeter', worst_perimeter,
        'worst_area', worst_area, 'worst_smoothness', worst_smoothness, 'worst_compactness', worst_compactness,
        'worst_concavity', worst_concavity, 'worst_concave_points', worst_concave_points,
        'worst_symmetry', worst_symmetry, 'worst_fractal_dimension', worst_fractal_dimension
    )) AS score
    FROM demo.cancer
    WHERE split = 'holdout'
) AS scored;

SELECT * FROM demo.cancer_predictions ORDER BY id LIMIT 5;

-- Plain SQL measures it.
SELECT count(*) AS row_count, round(avg(CASE WHEN predicted = diagnosis THEN 1.0 ELSE 0.0 END), 4) AS accuracy
FROM demo.cancer_predictions;

SELECT diagnosis, predicted, count(*) AS row_count, round(avg(malignant), 3) AS mean_malignant
FROM demo.cancer_predictions
GROUP BY diagnosis, predicted
ORDER BY diagnosis, predicted;
