//! Tells what a file is when it is not ONNX. Looks at names and first bytes only.

use std::path::Path;

use crate::error::LoadError;

struct Format {
    found: &'static str,
    converter: &'static str,
    how: &'static str,
}

const PICKLE: Format = Format {
    found: "a Python pickle",
    converter: "skl2onnx",
    how: "`skl2onnx.to_onnx(model, X[:1])`",
};
const TORCH: Format = Format {
    found: "a PyTorch or zip archive",
    converter: "torch onnx",
    how: "`torch.onnx.export(model, example, path)`",
};
const KERAS: Format = Format {
    found: "a Keras or HDF5 file",
    converter: "tf2onnx",
    how: "`tf2onnx.convert.from_keras(model)`",
};
const TREES: Format = Format {
    found: "a tree library's own file (XGBoost, LightGBM or CatBoost)",
    converter: "onnxmltools",
    how: "`onnxmltools.convert_xgboost`, `convert_lightgbm`, or CatBoost's `save_model(path, format=\"onnx\")`",
};

/// Refuses what is known not to be ONNX; what is unknown is left to the runtime.
pub(crate) fn refuse_other_formats(name: &str, bytes: &[u8]) -> Result<(), LoadError> {
    let extension = Path::new(name).extension().unwrap_or_default().to_ascii_lowercase();
    let by_name = match extension.to_str().unwrap_or_default() {
        "pkl" | "pickle" | "joblib" | "cloudpickle" | "skops" => Some(PICKLE),
        "pt" | "pth" | "ckpt" | "safetensors" => Some(TORCH),
        "h5" | "hdf5" | "keras" => Some(KERAS),
        "ubj" | "xgb" | "lgb" | "cbm" => Some(TREES),
        _ => None,
    };
    let by_bytes = match bytes {
        // A pickle of protocol 2 to 5 begins with PROTO and the version.
        [0x80, 2..=5, ..] => Some(PICKLE),
        [b'P', b'K', 3, 4, ..] => Some(TORCH),
        [0x89, b'H', b'D', b'F', ..] => Some(KERAS),
        [b'{', ..] => Some(TREES),
        _ if bytes.starts_with(b"CBM1") || bytes.starts_with(b"tree\n") => Some(TREES),
        _ => None,
    };
    match by_bytes.or(by_name) {
        None => Ok(()),
        Some(Format { found, converter, how }) => {
            Err(LoadError::NotOnnx { name: name.to_owned(), found, converter, how })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pickle_is_named_whatever_its_name_says() {
        for (name, bytes) in
            [("model.pkl", &b"anything"[..]), ("model.onnx", &[0x80, 4, 0x95, 0, 0][..])]
        {
            let error = refuse_other_formats(name, bytes).unwrap_err().to_string();
            assert!(error.contains("pickle") && error.contains("pip install skl2onnx"), "{error}");
            assert!(error.contains("mlflow.onnx.log_model"), "{error}");
        }
        assert!(refuse_other_formats("model.ubj", b"{L").is_err());
        assert!(refuse_other_formats("model.onnx", &[8, 9, 18]).is_ok());
    }
}
