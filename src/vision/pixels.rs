//! From planes to a network's input, in libtorch.
use super::VisionError;
use crate::{
    model::Rect,
    video::{Frame, Layout, Plane},
};
use tch::{Device, Kind, Tensor};

/// The part of a frame under `rect`, resized to `height` × `width` (bilinear, half-pixel centres), as `[1, 3, height, width]`
/// floats in the order B, G, R, which all our networks were trained on. Each plane is resized first and converted after, so that the matrix touches few pixels. The conversion gives
/// `scale * value - shift` per channel with `value` in 0–255: the network's own normalisation costs nothing extra.
pub(super) fn sample(
    frame: &Frame,
    rect: Rect,
    height: i64,
    width: i64,
    scale: [f32; 3],
    shift: [f32; 3],
    device: Device,
) -> Result<Tensor, VisionError> {
    let planes: Vec<Plane<'_>> = frame.planes().collect();
    let luma = planes.first().ok_or(VisionError::Planes)?;
    let mut parts = vec![resized(luma, 1, rect, height, width, device)?];
    let half = Rect::new(rect.x / 2.0, rect.y / 2.0, rect.w / 2.0, rect.h / 2.0);
    match frame.layout() {
        Layout::I420 => {
            for chroma in planes.iter().skip(1) {
                parts.push(resized(chroma, 1, half, height, width, device)?);
            }
        }
        Layout::Nv12 => {
            for chroma in planes.iter().skip(1) {
                parts.push(resized(chroma, 2, half, height, width, device)?);
            }
        }
    }
    let yuv = Tensor::f_cat(&parts, 1)?; // [1, 3, h, w], 0–255
    if yuv.size().get(1) != Some(&3) {
        return Err(VisionError::Planes);
    }
    let mut rows = frame.color().yuv_to_rgb();
    rows.reverse(); // B, G, R
    let (mut weight, mut bias) = (Vec::with_capacity(9), Vec::with_capacity(3));
    for ((row, scale), shift) in rows.iter().zip(scale).zip(shift) {
        let [y, u, v, one] = *row;
        weight.extend([y * scale, u * scale, v * scale]);
        bias.push(one * 255.0 * scale - shift);
    }
    let weight = Tensor::from_slice(&weight).f_view([3, 3, 1, 1])?.f_to_device(device)?;
    let bias = Tensor::from_slice(&bias).f_to_device(device)?;
    // A 1×1 convolution is the colour matrix.
    Ok(yuv.f_conv2d(&weight, Some(&bias), [1, 1], [0, 0], [1, 1], 1)?)
}

/// The part of one plane under `rect` (in samples of that plane) as `[1, channels, height, width]`, 0–255.
fn resized(
    plane: &Plane<'_>,
    channels: i64,
    rect: Rect,
    height: i64,
    width: i64,
    device: Device,
) -> Result<Tensor, VisionError> {
    let (pw, ph) = (plane.width as i64, plane.height as i64);
    let x0 = (rect.x.floor() as i64).clamp(0, pw - 1);
    let y0 = (rect.y.floor() as i64).clamp(0, ph - 1);
    let x1 = (rect.right().ceil() as i64).clamp(x0 + 1, pw);
    let y1 = (rect.bottom().ceil() as i64).clamp(y0 + 1, ph);
    // Only the rows in question are handed over, as they lie, padding included.
    let stride = plane.stride as i64;
    let first = (y0 * stride + x0 * channels) as usize;
    let needed = ((y1 - y0 - 1) * stride + (x1 - x0) * channels) as usize;
    let bytes = plane.data.get(first..first + needed).ok_or(VisionError::Planes)?;
    let flat = Tensor::f_from_data_size(bytes, &[needed as i64], Kind::Uint8)?.f_to_device(device)?;
    let part = flat.f_as_strided([1, channels, y1 - y0, x1 - x0], [0, 1, stride, channels], 0)?;
    let part = part.f_to_kind(Kind::Float)?;
    if (y1 - y0, x1 - x0) == (height, width) {
        return Ok(part);
    }
    Ok(part.f_upsample_bilinear2d([height, width], false, None, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Timestamp, video::Color};

    #[test]
    fn libtorch_and_the_crop_agree_on_colour() {
        gstreamer::init().unwrap();
        // one flat colour: BT.709 limited, a saturated orange
        let (w, h) = (32u32, 18u32);
        let mut bytes = vec![150u8; (w * h) as usize];
        bytes.extend(vec![60u8; (w * h / 4) as usize]);
        bytes.extend(vec![190u8; (w * h / 4) as usize]);
        let frame = Frame::from_i420(w, h, &bytes, Color::BT709, 0, Timestamp(0)).unwrap();
        let whole = Rect::new(0.0, 0.0, w as f32, h as f32);
        let picture = frame.picture(whole, 8).unwrap();
        let tensor = sample(&frame, whole, 9, 16, [1.0; 3], [0.0; 3], Device::Cpu).unwrap();
        assert_eq!(tensor.size(), [1, 3, 9, 16]);
        for channel in 0..3 {
            let torch = tensor.double_value(&[0, 2 - channel as i64, 4, 4]).clamp(0.0, 255.0);
            let cpu = f64::from(picture.rgb()[channel]);
            assert!((torch - cpu).abs() < 1.0, "channel {channel}: libtorch {torch}, crop {cpu}");
        }
    }
}
