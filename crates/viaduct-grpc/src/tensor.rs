//! The protocol's tensors, raw or typed, to and from typed columns.

use viaduct_api::oip::{raw, tensor};
use viaduct_base::{Kind, Refusal};
use viaduct_gateway::{InputTensor, OutputTensor, TensorData};

use crate::proto::inference::model_infer_request::InferInputTensor;
use crate::proto::inference::model_infer_response::InferOutputTensor;
use crate::proto::inference::{InferTensorContents, ModelInferRequest};

/// The inputs of a request: all raw, or each with typed contents.
///
/// # Errors
/// `invalid-input` that names the tensor.
pub(crate) fn inputs(request: &mut ModelInferRequest) -> Result<Vec<InputTensor>, Refusal> {
    let named = std::mem::take(&mut request.inputs);
    let raws = std::mem::take(&mut request.raw_input_contents);
    if raws.is_empty() {
        return named.into_iter().map(typed).collect();
    }
    if raws.len() != named.len() {
        let detail = format!(
            "`raw_input_contents` has {} tensors and `inputs` has {}: there is one for each",
            raws.len(),
            named.len()
        );
        return Err(Refusal::new(Kind::InvalidInput, detail));
    }
    let both = named.into_iter().zip(raws);
    both.map(|(input, bytes)| {
        if input.contents.is_some_and(|contents| contents != InferTensorContents::default()) {
            let what = "it has both `contents` and `raw_input_contents`";
            return Err(tensor::declined(&input.name, what));
        }
        raw::read(input.name, &input.datatype, input.shape, &bytes)
    })
    .collect()
}

fn typed(input: InferInputTensor) -> Result<InputTensor, Refusal> {
    let InferInputTensor { name, datatype, shape, contents, .. } = input;
    let contents = contents.unwrap_or_default();
    let data = data(&datatype, contents).map_err(|what| tensor::declined(&name, &what))?;
    tensor::input(name, shape, data)
}

/// Each datatype has its list; cells in another are no cells of the tensor.
fn data(datatype: &str, contents: InferTensorContents) -> Result<TensorData, String> {
    Ok(match datatype {
        "FP64" => TensorData::Float(contents.fp64_contents),
        "FP32" => TensorData::Float(each(contents.fp32_contents)),
        "INT64" => TensorData::Int(contents.int64_contents),
        "INT8" => TensorData::Int(within::<i8, _>(contents.int_contents, datatype)?),
        "INT16" => TensorData::Int(within::<i16, _>(contents.int_contents, datatype)?),
        "INT32" => TensorData::Int(each(contents.int_contents)),
        "UINT8" => TensorData::Int(within::<u8, _>(contents.uint_contents, datatype)?),
        "UINT16" => TensorData::Int(within::<u16, _>(contents.uint_contents, datatype)?),
        "UINT32" => TensorData::Int(each(contents.uint_contents)),
        "UINT64" => TensorData::Int(tensor::signed(&contents.uint64_contents)?),
        "BOOL" => TensorData::Bool(contents.bool_contents),
        "BYTES" => {
            let texts = contents.bytes_contents.into_iter().enumerate();
            let texts = texts.map(|(place, bytes)| match std::str::from_utf8(&bytes) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(format!("cell {place} is not UTF-8 (BYTES)")),
            });
            TensorData::Text(texts.collect::<Result<_, String>>()?)
        }
        "FP16" | "BF16" => {
            return Err(format!(
                "{datatype} travels in `raw_input_contents`: it has no typed list"
            ));
        }
        other => return Err(tensor::no_datatype(other)),
    })
}

fn each<T, U: From<T>>(cells: Vec<T>) -> Vec<U> {
    cells.into_iter().map(U::from).collect()
}

fn within<N: TryFrom<T>, T: Copy + Into<i64>>(
    cells: Vec<T>,
    datatype: &str,
) -> Result<Vec<i64>, String> {
    let place = cells.iter().position(|cell| N::try_from(*cell).is_err());
    match place {
        None => Ok(cells.into_iter().map(Into::into).collect()),
        Some(place) => Err(format!("cell {place} is out of the range of {datatype}")),
    }
}

/// An output and its bytes.
pub(crate) fn output(found: OutputTensor) -> (InferOutputTensor, Vec<u8>) {
    let mut bytes = Vec::new();
    raw::write(&found.data, &mut bytes);
    let output = InferOutputTensor {
        name: found.name,
        datatype: tensor::datatype(&found.data).to_owned(),
        shape: found.shape,
        parameters: Default::default(),
        contents: None,
    };
    (output, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(datatype: &str, contents: InferTensorContents) -> ModelInferRequest {
        let input = InferInputTensor {
            name: "age".into(),
            datatype: datatype.into(),
            shape: vec![2],
            contents: Some(contents),
            ..InferInputTensor::default()
        };
        ModelInferRequest { inputs: vec![input], ..ModelInferRequest::default() }
    }

    #[test]
    fn typed_and_raw_are_the_same() {
        let contents = InferTensorContents { fp32_contents: vec![1.5, -2.0], ..Default::default() };
        let typed = inputs(&mut request("FP32", contents)).unwrap();
        let mut as_raw = request("FP32", InferTensorContents::default());
        as_raw.raw_input_contents =
            vec![[1.5f32.to_le_bytes(), (-2f32).to_le_bytes()].concat().into()];
        assert_eq!(inputs(&mut as_raw).unwrap(), typed);
        assert_eq!(typed[0].data, TensorData::Float(vec![1.5, -2.0]));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let detail = |mut request: ModelInferRequest| inputs(&mut request).unwrap_err().detail;
        let ints = |cells: &[i32]| InferTensorContents {
            int_contents: cells.to_vec(),
            ..Default::default()
        };
        for (request, said) in [
            (request("FP32", ints(&[1, 2])), "and 0 cells"),
            (request("INT8", ints(&[1, 300])), "cell 1 is out of the range of INT8"),
            (request("FP16", ints(&[])), "travels in `raw_input_contents`"),
            (request("FP8", ints(&[])), "no datatype"),
            (request("INT32", ints(&[1])), "and 1 cells"),
        ] {
            let found = detail(request);
            assert!(found.contains(said) && found.contains("`age`"), "{said}: {found}");
        }
        let mut two = request("INT32", ints(&[]));
        two.raw_input_contents = vec![Default::default(), Default::default()];
        assert!(detail(two).contains("one for each"));
    }
}
