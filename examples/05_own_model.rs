//! Bring your own model and marker set: an arm of two segments, read from OpenSim's format, seen by its own keypoints.
//!
//!     cargo run --release --example 05_own_model
//!
//! On the command line the same is `kinefit fit SESSION --model arm.osim --marker-set arm_markers.xml --keypoints arm.toml`.

use kinefit::kinematics::Mechanism;
use kinefit::skeleton::{Offsets, ScaleGroups, read_marker_set_str, read_model_str, write_osim};

const MODEL: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<OpenSimDocument Version="40500">
<Model name="arm">
  <BodySet><objects>
    <Body name="upper_arm"/>
    <Body name="forearm"/>
  </objects></BodySet>
  <JointSet><objects>
    <PinJoint name="shoulder">
      <socket_parent_frame>/ground</socket_parent_frame>
      <socket_child_frame>/bodyset/upper_arm</socket_child_frame>
      <coordinates><Coordinate name="shoulder_flexion"><range>-1 3</range></Coordinate></coordinates>
    </PinJoint>
    <PinJoint name="elbow">
      <socket_parent_frame>upper_arm_end</socket_parent_frame>
      <socket_child_frame>/bodyset/forearm</socket_child_frame>
      <coordinates><Coordinate name="elbow_flexion"><range>0 2.6</range></Coordinate></coordinates>
      <frames>
        <PhysicalOffsetFrame name="upper_arm_end">
          <socket_parent>/bodyset/upper_arm</socket_parent>
          <translation>0 -0.29 0</translation>
        </PhysicalOffsetFrame>
      </frames>
    </PinJoint>
  </objects></JointSet>
</Model>
</OpenSimDocument>"#;

const MARKERS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<OpenSimDocument Version="40500">
<MarkerSet name="arm"><objects>
  <Marker name="RElbow"><socket_parent_frame>/bodyset/forearm</socket_parent_frame><location>0 0 0</location></Marker>
  <Marker name="RWrist"><socket_parent_frame>/bodyset/forearm</socket_parent_frame><location>0 -0.26 0</location></Marker>
</objects></MarkerSet>
</OpenSimDocument>"#;

fn main() -> kinefit::Result<()> {
    let mut skeleton = read_model_str("arm.osim", MODEL)?;
    read_marker_set_str("arm_markers.xml", MARKERS, &mut skeleton)?;

    // Which bodies grow together: here each for itself.
    let groups =
        ScaleGroups::from_json("groups", r#"{"groups": {"upper": ["upper_arm"], "fore": ["forearm"]}}"#, &skeleton)?;
    let mechanism = Mechanism::new(skeleton.clone(), groups);

    // An upper arm 5 % longer, a forearm 3 % shorter, the elbow bent by 90°; and how the wrist moves with everything.
    let scales = mechanism.scales(&[0.05, -0.03]);
    let offsets = Offsets::zeros(&skeleton);
    let q = [0.0, 90f64.to_radians()];
    let mut work = mechanism.workspace();
    mechanism.linearise(&scales, &offsets, &q, &[], &mut work);
    for (marker, p) in skeleton.markers.iter().zip(&work.frame.markers) {
        println!("{}: {:+.4} {:+.4} {:+.4} m", marker.name, p.x, p.y, p.z);
    }
    if let Some(wrist) = skeleton.marker("RWrist") {
        let mut by_scale = vec![Default::default(); mechanism.groups().groups.len()];
        mechanism.marker_by_scale(&work, wrist, &mut by_scale);
        for (group, d) in mechanism.groups().groups.iter().zip(&by_scale) {
            println!("RWrist per unit of scale `{}`: {:+.4} {:+.4} {:+.4} m", group.name, d.x, d.y, d.z);
        }
    }

    let scaled = write_osim(&skeleton, &scales, &offsets)?;
    println!("the scaled model is an OpenSim file of {} lines", scaled.lines().count());
    Ok(())
}
