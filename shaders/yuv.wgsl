// Planes of a decoded frame to RGB: one quad per camera, conversion in the fragment shader.

struct Params {
    // Rows of rgb = M * [y, u, v, 1]; the same matrix as the detector and the crops use (Color::yuv_to_rgb).
    r: vec4f,
    g: vec4f,
    b: vec4f,
    // x, y: the part of the chroma planes that lies under the luma plane (less than 1 for odd sizes).
    // z: 1 when u and v are interleaved in one plane (NV12). w: 1 when the target encodes sRGB itself.
    planes: vec4f,
    // x: saturation, y: brightness where x is less than 1; both 1 for a live picture.
    look: vec4f,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var linear_sampler: sampler;
@group(0) @binding(2) var plane_y: texture_2d<f32>;
@group(0) @binding(3) var plane_u: texture_2d<f32>;
@group(0) @binding(4) var plane_v: texture_2d<f32>;

struct Vertex {
    @builtin(position) position: vec4f,
    @location(0) uv: vec2f,
}

@vertex
fn vertex(@builtin(vertex_index) index: u32) -> Vertex {
    let corner = vec2f(f32(index & 1u), f32(index >> 1u));
    return Vertex(vec4f(corner * 2.0 - 1.0, 0.0, 1.0), vec2f(corner.x, 1.0 - corner.y));
}

fn linear_from_srgb(c: vec3f) -> vec3f {
    return select(pow((c + 0.055) / 1.055, vec3f(2.4)), c / 12.92, c <= vec3f(0.04045));
}

@fragment
fn fragment(in: Vertex) -> @location(0) vec4f {
    let chroma = in.uv * params.planes.xy;
    let first = textureSample(plane_u, linear_sampler, chroma).rg;
    let second = textureSample(plane_v, linear_sampler, chroma).r;
    let yuv1 = vec4f(
        textureSample(plane_y, linear_sampler, in.uv).r,
        first.r,
        select(second, first.g, params.planes.z > 0.5),
        1.0,
    );
    var rgb = clamp(vec3f(dot(params.r, yuv1), dot(params.g, yuv1), dot(params.b, yuv1)), vec3f(0.0), vec3f(1.0));
    // Branches on uniforms: a software renderer pays for what a live picture does not need, most of all for pow.
    if params.look.x < 1.0 {
        rgb = mix(vec3f(dot(rgb, vec3f(0.2126, 0.7152, 0.0722))), rgb, params.look.x) * params.look.y;
    }
    if params.planes.w > 0.5 {
        rgb = linear_from_srgb(rgb);
    }
    return vec4f(rgb, 1.0);
}
