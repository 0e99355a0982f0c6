//! Live pictures on the GPU: each plane of a frame is uploaded as it is and `shaders/yuv.wgsl` converts while drawing.
//! Textures are kept per camera and used again while the frame's size and layout stay; a frame is uploaded once.
use crate::model::CameraId;
use crate::video::{Frame, Layout, Plane};
use egui_wgpu::{CallbackResources, CallbackTrait, RenderState, ScreenDescriptor};
use std::collections::HashMap;

/// How a picture is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// 1 as it is, 0 grey.
    pub saturation: f32,
    /// 1 as it is, 0 black.
    pub brightness: f32,
}

impl Look {
    /// As it is.
    pub const LIVE: Self = Self { saturation: 1.0, brightness: 1.0 };
    /// The last picture of a camera that is not live: grey and dark, so that nobody takes it for a live one.
    pub const STALE: Self = Self { saturation: 0.0, brightness: 0.15 };
}

/// Puts the shader and its resources into the renderer; must be done once before anything is painted.
/// Returns the largest side of a picture that the device can show, pixels.
pub fn install(render_state: &RenderState) -> u32 {
    let resources = Resources::new(&render_state.device, render_state.target_format);
    render_state.renderer.write().callback_resources.insert(resources);
    render_state.device.limits().max_texture_dimension_2d
}

/// A shape that draws `frame` into `rect`. `pass` is egui's count of passes: textures of cameras that were not drawn for
/// some hundred passes are freed.
pub fn shape(rect: egui::Rect, camera: CameraId, frame: Frame, look: Look, pass: u64) -> egui::PaintCallback {
    egui_wgpu::Callback::new_paint_callback(rect, Draw { camera, frame, look, pass })
}

struct Draw {
    camera: CameraId,
    frame: Frame,
    look: Look,
    pass: u64,
}

/// The textures of one camera.
struct Tile {
    width: u32,
    height: u32,
    layout: Layout,
    planes: Vec<wgpu::Texture>,
    params: wgpu::Buffer,
    bindings: wgpu::BindGroup,
    /// What the textures and the parameters hold.
    holds: Option<(Frame, Look)>,
    pass: u64,
}

struct Resources {
    pipeline: wgpu::RenderPipeline,
    bindings: wgpu::BindGroupLayout,
    sampler: wgpu::Sampler,
    encodes_srgb: bool,
    tiles: HashMap<CameraId, Tile>,
}

/// `struct Params` of the shader.
type Params = [[f32; 4]; 5];

impl Resources {
    const KEPT: u64 = 300;

    fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        let shader = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("yuv"),
            source: wgpu::ShaderSource::Wgsl(include_str!("../../shaders/yuv.wgsl").into()),
        });
        let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty,
            count: None,
        };
        let plane = wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: true },
            view_dimension: wgpu::TextureViewDimension::D2,
            multisampled: false,
        };
        let uniform = wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: false,
            min_binding_size: None,
        };
        let bindings = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("yuv"),
            entries: &[
                entry(0, uniform),
                entry(1, wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering)),
                entry(2, plane),
                entry(3, plane),
                entry(4, plane),
            ],
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("yuv"),
            bind_group_layouts: &[Some(&bindings)],
            immediate_size: 0,
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("yuv"),
            layout: Some(&layout),
            vertex: wgpu::VertexState {
                module: &shader,
                entry_point: Some("vertex"),
                compilation_options: Default::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState { topology: wgpu::PrimitiveTopology::TriangleStrip, ..Default::default() },
            depth_stencil: None,
            multisample: Default::default(),
            fragment: Some(wgpu::FragmentState {
                module: &shader,
                entry_point: Some("fragment"),
                compilation_options: Default::default(),
                targets: &[Some(target.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        let sampler = device.create_sampler(&wgpu::SamplerDescriptor {
            mag_filter: wgpu::FilterMode::Linear,
            min_filter: wgpu::FilterMode::Linear,
            ..Default::default()
        });
        Self { pipeline, bindings, sampler, encodes_srgb: target.is_srgb(), tiles: HashMap::new() }
    }

    fn tile(&self, device: &wgpu::Device, frame: &Frame) -> Option<Tile> {
        let planes: Vec<_> = frame.planes().map(|plane| plane_texture(device, &plane)).collect();
        let params = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("yuv"),
            size: size_of::<Params>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let view = |texture: &wgpu::Texture| texture.create_view(&Default::default());
        let (y, u) = (view(planes.first()?), view(planes.get(1)?));
        let v = view(planes.last()?);
        let bind = |binding, resource| wgpu::BindGroupEntry { binding, resource };
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("yuv"),
            layout: &self.bindings,
            entries: &[
                bind(0, params.as_entire_binding()),
                bind(1, wgpu::BindingResource::Sampler(&self.sampler)),
                bind(2, wgpu::BindingResource::TextureView(&y)),
                bind(3, wgpu::BindingResource::TextureView(&u)),
                bind(4, wgpu::BindingResource::TextureView(&v)),
            ],
        });
        let (width, height, layout) = (frame.width(), frame.height(), frame.layout());
        Some(Tile { width, height, layout, planes, params, bindings, holds: None, pass: 0 })
    }

    fn params(&self, frame: &Frame, look: Look) -> Params {
        let [r, g, b] = frame.color().yuv_to_rgb();
        let (w, h) = (frame.width(), frame.height());
        let under = |side: u32| side as f32 / (2 * side.div_ceil(2)) as f32;
        let interleaved = f32::from(frame.layout() == Layout::Nv12);
        [
            r,
            g,
            b,
            [under(w), under(h), interleaved, f32::from(self.encodes_srgb)],
            [look.saturation, look.brightness, 0.0, 0.0],
        ]
    }
}

fn plane_texture(device: &wgpu::Device, plane: &Plane<'_>) -> wgpu::Texture {
    let format = if plane.bytes_per_sample == 2 { wgpu::TextureFormat::Rg8Unorm } else { wgpu::TextureFormat::R8Unorm };
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some("plane"),
        size: extent(plane),
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    })
}

fn extent(plane: &Plane<'_>) -> wgpu::Extent3d {
    wgpu::Extent3d { width: plane.width as u32, height: plane.height as u32, depth_or_array_layers: 1 }
}

/// Uploads a plane row by row as it lies in memory. A plane shorter than it says is left out, so that the device never
/// reads past its end.
fn upload(queue: &wgpu::Queue, texture: &wgpu::Texture, plane: &Plane<'_>) {
    let row = plane.width * plane.bytes_per_sample;
    if plane.stride < row || plane.data.len() < plane.stride * plane.height.saturating_sub(1) + row {
        return;
    }
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: u32::try_from(plane.stride).ok(),
        rows_per_image: None,
    };
    queue.write_texture(texture.as_image_copy(), plane.data, layout, extent(plane));
}

impl CallbackTrait for Draw {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        _screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let Some(resources) = resources.get_mut::<Resources>() else { return Vec::new() };
        let frame = &self.frame;
        let fits = resources.tiles.get(&self.camera).is_some_and(|tile| {
            (tile.width, tile.height, tile.layout) == (frame.width(), frame.height(), frame.layout())
        });
        if !fits && let Some(tile) = resources.tile(device, frame) {
            resources.tiles.insert(self.camera, tile);
        }
        let params = resources.params(frame, self.look);
        if let Some(tile) = resources.tiles.get_mut(&self.camera) {
            tile.pass = self.pass;
            let (same_frame, same_look) =
                tile.holds.as_ref().map_or((false, false), |(held, look)| (held.same(frame), *look == self.look));
            if !same_frame {
                for (texture, plane) in tile.planes.iter().zip(frame.planes()) {
                    upload(queue, texture, &plane);
                }
            }
            if !same_frame || !same_look {
                queue.write_buffer(&tile.params, 0, bytemuck::cast_slice(&params));
                tile.holds = Some((frame.clone(), self.look));
            }
        }
        resources.tiles.retain(|_, tile| self.pass.saturating_sub(tile.pass) < Resources::KEPT);
        Vec::new()
    }

    fn paint(
        &self,
        _info: egui::PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        resources: &CallbackResources,
    ) {
        let Some(resources) = resources.get::<Resources>() else { return };
        let Some(tile) = resources.tiles.get(&self.camera) else { return };
        pass.set_pipeline(&resources.pipeline);
        pass.set_bind_group(0, &tile.bindings, &[]);
        pass.draw(0..4, 0..1);
    }
}
