//! The motion model: four independent constant-velocity Kalman filters, for centre x, centre y, width and height.
use crate::model::Rect;

/// One coordinate: its value and its rate, with their covariance.
#[derive(Clone, Copy, Debug)]
struct Axis {
    value: f64,
    rate: f64,
    /// `[[vv, vr], [vr, rr]]`.
    vv: f64,
    vr: f64,
    rr: f64,
}

impl Axis {
    /// `drift` and `agility` are the spectral densities of the random walks of value and rate (SI: px²/s, px²/s³).
    fn predict(&mut self, dt: f64, drift: f64, agility: f64) {
        self.value += self.rate * dt;
        self.vv += dt * (2.0 * self.vr + dt * self.rr) + drift * dt + agility * dt * dt * dt / 3.0;
        self.vr += dt * self.rr + agility * dt * dt / 2.0;
        self.rr += agility * dt;
    }

    fn update(&mut self, measured: f64, variance: f64) {
        let (gain_v, gain_r) = {
            let s = self.vv + variance;
            (self.vv / s, self.vr / s)
        };
        let innovation = measured - self.value;
        self.value += gain_v * innovation;
        self.rate += gain_r * innovation;
        self.rr -= gain_r * self.vr;
        self.vr -= gain_v * self.vr;
        self.vv -= gain_v * self.vv;
    }
}

/// How people and detectors move boxes; all of it in heights of the person, so that near and far are treated alike.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// Standard deviation of a measured edge, in heights.
    pub measurement: f64,
    /// Random walk of the position, heights per √s.
    pub drift: f64,
    /// Random walk of the velocity, heights/s per √s.
    pub agility: f64,
    /// Standard deviation of the velocity of somebody new, heights/s.
    pub initial_rate: f64,
    /// How much of `drift`, `agility` and `initial_rate` applies to width and height.
    pub shape: f64,
}

/// A box in motion.
#[derive(Clone, Copy, Debug)]
pub struct Motion {
    axes: [Axis; 4],
}

impl Motion {
    /// Somebody new, standing still for all we know.
    pub fn new(rect: &Rect, noise: &Noise) -> Self {
        let unit = f64::from(rect.h).max(1.0);
        let axis = |value, shape: f64| Axis {
            value,
            rate: 0.0,
            vv: (2.0 * noise.measurement * unit).powi(2),
            vr: 0.0,
            rr: (noise.initial_rate * unit * shape).powi(2),
        };
        let [x, y, w, h] = coordinates(rect);
        Self { axes: [axis(x, 1.0), axis(y, 1.0), axis(w, noise.shape), axis(h, noise.shape)] }
    }

    /// Moves the box `dt` seconds on.
    pub fn predict(&mut self, dt: f64, noise: &Noise) {
        let unit = self.unit();
        let (drift, agility) = ((noise.drift * unit).powi(2), (noise.agility * unit).powi(2));
        let shape = noise.shape * noise.shape;
        let [x, y, w, h] = &mut self.axes;
        x.predict(dt, drift, agility);
        y.predict(dt, drift, agility);
        w.predict(dt, drift * shape, agility * shape);
        h.predict(dt, drift * shape, agility * shape);
    }

    /// Corrects the box by a measured one; `trust` scales the measurement's standard deviation (1: as configured).
    pub fn update(&mut self, rect: &Rect, trust: f64, noise: &Noise) {
        let variance = (noise.measurement * trust * self.unit()).powi(2).max(1e-6);
        for (axis, measured) in self.axes.iter_mut().zip(coordinates(rect)) {
            axis.update(measured, variance);
        }
    }

    /// Moves the box because the camera moved; `rate` (1/s) of the shift is taken to go on as a velocity.
    pub fn shift(&mut self, dx: f64, dy: f64, rate: f64) {
        let [x, y, ..] = &mut self.axes;
        x.value += dx;
        y.value += dy;
        x.rate += dx * rate;
        y.rate += dy * rate;
    }

    fn unit(&self) -> f64 {
        let [_, _, _, h] = &self.axes;
        h.value.max(1.0)
    }

    /// The box now; at least one pixel on each side.
    pub fn rect(&self) -> Rect {
        let [x, y, w, h] = self.axes.map(|a| a.value);
        let (w, h) = (w.max(1.0), h.max(1.0));
        Rect::new((x - w / 2.0) as f32, (y - h / 2.0) as f32, w as f32, h as f32)
    }

    /// Rates of `[center x, center y]`, pixels per second.
    pub fn velocity(&self) -> [f32; 2] {
        let [x, y, ..] = &self.axes;
        [x.rate as f32, y.rate as f32]
    }
}

fn coordinates(rect: &Rect) -> [f64; 4] {
    let (w, h) = (f64::from(rect.w), f64::from(rect.h));
    [f64::from(rect.x) + w / 2.0, f64::from(rect.y) + h / 2.0, w, h]
}
