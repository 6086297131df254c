"""The columns of a lead, in the order of the contract in `viaduct.yaml`."""

NUMERIC = [
    "age", "campaign", "pdays", "previous", "emp_var_rate", "cons_price_idx", "cons_conf_idx",
    "euribor3m", "nr_employed",
]
CATEGORICAL = [
    "job", "marital", "education", "default", "housing", "loan", "contact", "month", "day_of_week",
    "poutcome",
]
FEATURES = [
    "age", "job", "marital", "education", "default", "housing", "loan", "contact", "month",
    "day_of_week", "campaign", "pdays", "previous", "poutcome", "emp_var_rate", "cons_price_idx",
    "cons_conf_idx", "euribor3m", "nr_employed",
]
# Seconds on the phone: known only after the call, so it is no feature of an honest model.
AFTER_DECISION = "duration"
