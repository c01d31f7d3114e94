"""The command `orn predict`: runs both stages on any video. May import both stages and `shared`."""

if __name__ != "orn.predict_videos":
    raise ImportError("expected `import orn.predict_videos`, got `import predict_videos`")
