//! Makes the messages and services from the published files, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["grpc_service.proto", "health.proto"], ["proto"])?;
    let mut prost = tonic_prost_build::Config::new();
    // Why bytes: raw tensors are then slices of the request, not copies of it.
    prost.bytes([".inference.ModelInferRequest", ".inference.ModelInferResponse"]);
    // Why no comments: theirs are written for another generator and become broken examples here.
    prost.disable_comments(["."]);
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .generate_default_stubs(true)
        .compile_fds_with_config(files, prost)?;
    Ok(())
}
