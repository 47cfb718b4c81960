# The product in an image: one static binary, no shell, not root, and nothing
# that needs its root to be writable. Base images are pinned by digest.
FROM golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /sluice ./cmd/sluice

FROM gcr.io/distroless/static-debian13:nonroot@sha256:f7f8f729987ad0fdf6b05eeeae94b26e6a0f613bdf46feea7fc40f7bd72953e6
COPY --from=build /sluice /sluice
USER nonroot:nonroot
EXPOSE 8080
ENTRYPOINT ["/sluice"]
CMD ["serve"]
